// What a signal does, kept so that it can be restored byte for byte. Not for Swift.
#ifndef CASYNCIO_DISPOSITION_H
#define CASYNCIO_DISPOSITION_H

#include <signal.h>
#include <stdbool.h>

struct aio_disposition {
    struct sigaction action;
    // The kernel's own structure, on Linux. The C library adds a flag and an address to what it is given (SA_RESTORER), so
    // what was read from it and is set by it again is not what it was.
    unsigned char kernel[64];
    bool is_exact;
};

// Sets what a signal does, and returns what it did before in `former`. 0 or -errno.
int aio_disposition_exchange(int signal, const struct sigaction *action, struct aio_disposition *former);
// Restores what a signal did. 0 or -errno.
int aio_disposition_restore(int signal, const struct aio_disposition *former);

// Replaces what a signal is restored to later, where that is `handler`. Defined in signals.c.
void aio_signal_replace_former(int signal, void (*handler)(int), const struct aio_disposition *by);

#endif
