#include "include/select_wait.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>

static bool fits(int fd) { return fd >= 0 && fd < FD_SETSIZE; }

void aio_select_insert(fd_set *set, int fd) {
    if (fits(fd)) FD_SET(fd, set);
}

void aio_select_remove(fd_set *set, int fd) {
    if (fits(fd)) FD_CLR(fd, set);
}

bool aio_select_contains(const fd_set *set, int fd) { return fits(fd) && FD_ISSET(fd, set); }

int aio_select_wait(int end, fd_set *readable, fd_set *writable, int64_t nanoseconds) {
    // pselect(2) without a signal mask, because select(2) has a resolution of microseconds.
    struct timespec timeout = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    int ready = pselect(end, readable, writable, NULL, nanoseconds < 0 ? NULL : &timeout, NULL);
    return ready < 0 ? -errno : ready;
}
