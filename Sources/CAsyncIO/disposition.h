// The disposition of a signal, stored so that it can be restored byte for byte. Not visible to Swift.
#ifndef CASYNCIO_DISPOSITION_H
#define CASYNCIO_DISPOSITION_H

#include <signal.h>
#include <stdbool.h>

struct aio_disposition {
    struct sigaction action;
    // The structure of the Linux kernel. The C library adds a flag and an address (SA_RESTORER), so restoring a
    // disposition with the C library would change it.
    unsigned char kernel[64];
    bool is_exact;
};

// Sets the disposition of a signal, and stores the previous one in `former`. Returns 0 or -errno.
int aio_disposition_exchange(int signal, const struct sigaction *action, struct aio_disposition *former);
// Restores the disposition of a signal. Returns 0 or -errno.
int aio_disposition_restore(int signal, const struct aio_disposition *former);

// Replaces the disposition that is restored later, if its handler is `handler`. Defined in signals.c.
void aio_signal_replace_former(int signal, void (*handler)(int), const struct aio_disposition *by);

#endif
