// Ctrl-C (SIGINT) while a main task runs: the first one wakes the loop, the next one ends the process from the handler itself.
#ifndef CASYNCIO_INTERRUPT_H
#define CASYNCIO_INTERRUPT_H

// Catches SIGINT, if nobody has changed what it does. The first one writes to `fd`, an eventfd or a pipe; the second one ends
// the process by SIGINT at once, whatever its threads are doing. 1; 0 if somebody else wants the signal; or -errno.
// One caller at a time.
int aio_interrupt_catch(int fd);
// How often it came since `aio_interrupt_catch`.
int aio_interrupt_count(void);
// Restores what SIGINT did before, byte for byte, unless somebody else has changed it meanwhile. How often it came.
// After the return no handler writes to the descriptor: it may be closed.
int aio_interrupt_release(void);

// Writes out what standard output holds back, unless another thread is at it, and ends the process as SIGINT does by default.
_Noreturn void aio_end_by_interrupt(void);
// Ends the process with the status of a failure.
_Noreturn void aio_exit_failure(void);

#endif
