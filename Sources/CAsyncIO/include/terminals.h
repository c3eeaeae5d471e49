// Terminals: pseudo-terminals, window sizes, and raw mode, which must not outlive the process. The functions return 0
// or -errno.
#ifndef CASYNCIO_TERMINALS_H
#define CASYNCIO_TERMINALS_H

#include <stdbool.h>
#include <stdint.h>

// Opens a pseudo-terminal, close-on-exec: the controlling side first. Neither becomes the process's terminal.
int aio_open_pseudo_terminal(int descriptors[_Nonnull 2]);
bool aio_is_terminal(int fd);
int aio_window_size(int fd, int *_Nonnull columns, int *_Nonnull rows);
int aio_set_window_size(int fd, int columns, int rows);

// Sets the raw mode of cfmakeraw(3), and stores the former modes, which aio_raw_mode_leave, exit(3) and a signal that
// ends the process restore. Stores an identifier in `id`. Any thread.
int aio_raw_mode_enter(int fd, uint64_t *_Nonnull id);
// Has no effect with an identifier that was left before.
int aio_raw_mode_leave(uint64_t id);

// Restores the modes of all terminals. Async-signal-safe. Not visible to Swift's users: for the handlers of signals.
void aio_raw_modes_restore(void);
// Whether a handler only restores the modes and then does what the default action does.
bool aio_is_raw_mode_handler(void (*_Nullable handler)(int));

#endif
