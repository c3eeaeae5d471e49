// Signal delivery without running Swift in a signal handler: a C trampoline counts the signal and wakes the loops.
#ifndef CASYNCIO_SIGNALS_H
#define CASYNCIO_SIGNALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AIO_SIGNAL_LIMIT = 65 };

// Returns how often the signal was delivered to the trampoline since the process began. Any thread.
uint64_t aio_signal_count(int signal);

// Makes the trampoline the handler of a signal, and stores the former disposition. Returns 0 or -errno.
int aio_signal_catch(int signal);
// Restores the former disposition, byte for byte, unless other code has changed it since. Returns 0 or -errno.
int aio_signal_restore(int signal);

// Makes the trampoline count signals of this process. Returns true at the first call in a forked child, and removes the
// wakers of the parent then.
bool aio_signals_claim(void);

// Makes the trampoline write to an eventfd or a pipe at each signal. Returns a slot, or NULL if there is no memory.
struct aio_signal_waker *_Nullable aio_signal_waker_add(int fd);
// After the return no trampoline on any thread writes to the descriptor of the slot, so it may be closed.
void aio_signal_waker_remove(struct aio_signal_waker *_Nonnull waker);

// Writes to standard error. Ignores errors, and raises no SIGPIPE if standard error is a broken pipe.
void aio_write_error(const void *_Nonnull bytes, size_t count);

#endif
