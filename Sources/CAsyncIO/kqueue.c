#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__)
#include "include/kqueue.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

int aio_kqueue_create(void) {
    int queue = kqueue();
    if (queue < 0) return -errno;
    // A kqueue is inherited across exec, but not across fork.
    if (fcntl(queue, F_SETFD, FD_CLOEXEC) < 0) {
        int error = errno;
        close(queue);
        return -error;
    }
    return queue;
}

// EV_RECEIPT: the result of the change is returned as an event with EV_ERROR, and no other event is returned.
static int change(int kqueue, int fd, bool writes, unsigned short flags) {
    struct kevent entry;
    EV_SET(&entry, (uintptr_t)fd, writes ? EVFILT_WRITE : EVFILT_READ, flags | EV_RECEIPT, 0, 0, 0);
    struct timespec none = {.tv_sec = 0, .tv_nsec = 0};
    int count;
    do {
        count = kevent(kqueue, &entry, 1, &entry, 1, &none);
    } while (count < 0 && errno == EINTR);
    if (count < 0) return -errno;
    if (count == 1 && (entry.flags & EV_ERROR) != 0 && entry.data != 0) return -(int)entry.data;
    return 0;
}

int aio_kqueue_add(int kqueue, int fd, bool writes, bool edge) {
    return change(kqueue, fd, writes, EV_ADD | EV_ENABLE | (edge ? EV_CLEAR : 0));
}

int aio_kqueue_remove(int kqueue, int fd, bool writes) { return change(kqueue, fd, writes, EV_DELETE); }

int aio_kqueue_wait(int kqueue, struct kevent *events, int capacity, int64_t nanoseconds) {
    struct timespec timeout = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
    int count = kevent(kqueue, NULL, 0, events, capacity, nanoseconds < 0 ? NULL : &timeout);
    return count < 0 ? -errno : count;
}
#endif
