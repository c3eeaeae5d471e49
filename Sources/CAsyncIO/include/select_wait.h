// select(2), every Unix.
#ifndef CASYNCIO_SELECT_WAIT_H
#define CASYNCIO_SELECT_WAIT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/select.h>

// Descriptors with this or a higher number do not fit into a set: the macros would write beyond its memory.
static const int AIO_FD_SETSIZE = FD_SETSIZE;

// Each of these functions does nothing unless `fd` is in 0..<AIO_FD_SETSIZE.
static inline void aio_select_clear(fd_set *_Nonnull set) { FD_ZERO(set); }
void aio_select_insert(fd_set *_Nonnull set, int fd);
void aio_select_remove(fd_set *_Nonnull set, int fd);
bool aio_select_contains(const fd_set *_Nonnull set, int fd);

// Waits at most `nanoseconds` (negative: without a limit) for the descriptors below `end`. Leaves the ready descriptors
// in the sets and returns the number of these entries, or returns -errno and leaves the sets unchanged.
int aio_select_wait(int end, fd_set *_Nonnull readable, fd_set *_Nonnull writable, int64_t nanoseconds);

#endif
