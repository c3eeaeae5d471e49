// Signal delivery without running Swift in a signal handler: a C trampoline counts the signal and wakes the loops.
#ifndef CASYNCIO_SIGNALS_H
#define CASYNCIO_SIGNALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AIO_SIGNAL_LIMIT = 65 };

// How often the signal was delivered to the trampoline since the process began. Any thread.
uint64_t aio_signal_count(int signal);

// Routes a signal to the trampoline and keeps the disposition that it had. 0 or -errno.
int aio_signal_catch(int signal);
// Restores what the signal did before, byte for byte, unless somebody else has changed it since. 0 or -errno.
int aio_signal_restore(int signal);

// Makes this process the one whose signals count. True in a forked child, once: nothing of the parent's is left then.
bool aio_signals_claim(void);

// Makes the trampoline write to an eventfd or a pipe at each signal. A slot, or null without memory.
struct aio_signal_waker *_Nullable aio_signal_waker_add(int fd);
// After the return no trampoline on any thread writes to the slot's descriptor: it may be closed.
void aio_signal_waker_remove(struct aio_signal_waker *_Nonnull waker);

// Writes to standard error. A pipe that nobody reads any more is ignored, and raises no SIGPIPE.
void aio_write_error(const void *_Nonnull bytes, size_t count);

#endif
