// Ctrl-C (SIGINT) while a main task runs: the first signal wakes the loop, the second one ends the process in the
// handler.
#ifndef CASYNCIO_INTERRUPT_H
#define CASYNCIO_INTERRUPT_H

// Catches SIGINT, if its disposition is the default. The first signal writes to `fd`, an eventfd or a pipe; the second
// one ends the process by SIGINT immediately, even if all threads are busy. Returns 1; 0 if other code handles the
// signal; or -errno. One caller at a time.
int aio_interrupt_catch(int fd);
// Returns how often SIGINT was delivered since `aio_interrupt_catch`.
int aio_interrupt_count(void);
// Restores the former disposition of SIGINT, byte for byte, unless other code has changed it meanwhile. Returns how
// often SIGINT was delivered. After the return no handler writes to the descriptor, so it may be closed.
int aio_interrupt_release(void);

// Flushes standard output, unless another thread has locked it, and ends the process as SIGINT does by default.
_Noreturn void aio_end_by_interrupt(void);
// Ends the process with EXIT_FAILURE.
_Noreturn void aio_exit_failure(void);

#endif
