#if defined(__linux__)
#define _GNU_SOURCE
#include "include/epoll.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if !defined(SYS_epoll_pwait2)
#define SYS_epoll_pwait2 441
#endif

static int result(int value) { return value < 0 ? -errno : value; }

int aio_epoll_create(void) { return result(epoll_create1(EPOLL_CLOEXEC)); }

static int control(int epoll, int operation, int fd, uint32_t events, uint64_t token) {
    struct epoll_event event = {.events = events, .data.u64 = token};
    return result(epoll_ctl(epoll, operation, fd, &event));
}

int aio_epoll_add(int epoll, int fd, uint32_t events, uint64_t token) {
    return control(epoll, EPOLL_CTL_ADD, fd, events, token);
}

int aio_epoll_modify(int epoll, int fd, uint32_t events, uint64_t token) {
    return control(epoll, EPOLL_CTL_MOD, fd, events, token);
}

int aio_epoll_remove(int epoll, int fd) { return control(epoll, EPOLL_CTL_DEL, fd, 0, 0); }

int aio_epoll_replace(int epoll, int fresh) {
    int replaced = result(dup3(fresh, epoll, O_CLOEXEC));
    close(fresh);
    return replaced < 0 ? replaced : 0;
}

int aio_epoll_wait(int epoll, struct epoll_event *events, int capacity, int64_t nanoseconds) {
    if (nanoseconds <= 0) return result(epoll_wait(epoll, events, capacity, nanoseconds < 0 ? -1 : 0));

    // Older kernels and some sandboxes lack epoll_pwait2 (Linux 5.11).
    static bool lacks_nanoseconds;
    if (!__atomic_load_n(&lacks_nanoseconds, __ATOMIC_RELAXED)) {
        struct timespec timeout = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
        long count = syscall(SYS_epoll_pwait2, epoll, events, capacity, &timeout, NULL, (size_t)0);
        if (count >= 0) return (int)count;
        if (errno != ENOSYS && errno != EPERM) return -errno;
        __atomic_store_n(&lacks_nanoseconds, true, __ATOMIC_RELAXED);
    }
    // Rounded up, because after a wait that ends before the deadline the loop would spin until the deadline.
    int64_t milliseconds = nanoseconds / 1000000 + (nanoseconds % 1000000 != 0);
    return result(epoll_wait(epoll, events, capacity, milliseconds > INT_MAX ? INT_MAX : (int)milliseconds));
}

int aio_eventfd(void) { return result(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)); }
#endif
