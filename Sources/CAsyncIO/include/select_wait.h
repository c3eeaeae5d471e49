// select(2), every Unix.
#ifndef CASYNCIO_SELECT_WAIT_H
#define CASYNCIO_SELECT_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/select.h>

// Descriptors with this number or a higher one do not fit into a set: the macros would write behind its end.
static const int AIO_FD_SETSIZE = FD_SETSIZE;

// `fd` is in 0..<AIO_FD_SETSIZE in each of these; nothing happens otherwise.
static inline void aio_select_clear(fd_set *_Nonnull set) { FD_ZERO(set); }
void aio_select_insert(fd_set *_Nonnull set, int fd);
void aio_select_remove(fd_set *_Nonnull set, int fd);
bool aio_select_contains(const fd_set *_Nonnull set, int fd);

// Waits at most `nanoseconds` (negative: without end) for the descriptors below `end`. Leaves in the sets those that are
// ready, and returns how many entries that are, or -errno; then the sets are as before.
int aio_select_wait(int end, fd_set *_Nonnull readable, fd_set *_Nonnull writable, int64_t nanoseconds);

#endif
