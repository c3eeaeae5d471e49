// kqueue(2): macOS and the BSDs.
#ifndef CASYNCIO_KQUEUE_H
#define CASYNCIO_KQUEUE_H
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__OpenBSD__)

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/event.h>
#include <sys/time.h>

int aio_kqueue_create(void);

// One direction of one descriptor: EVFILT_WRITE or EVFILT_READ.
int aio_kqueue_add(int kqueue, int fd, bool writes, bool edge);
int aio_kqueue_remove(int kqueue, int fd, bool writes);

// Waits at most `nanoseconds` (negative: without a limit). Returns the number of events or -errno.
int aio_kqueue_wait(int kqueue, struct kevent *_Nonnull events, int capacity, int64_t nanoseconds);

static inline int aio_kqueue_event_fd(const struct kevent *_Nonnull event) { return (int)event->ident; }
static inline bool aio_kqueue_event_writes(const struct kevent *_Nonnull event) {
    return event->filter == EVFILT_WRITE;
}
static inline bool aio_kqueue_event_hangs_up(const struct kevent *_Nonnull event) {
    return (event->flags & (EV_EOF | EV_ERROR)) != 0;
}

#endif
#endif
