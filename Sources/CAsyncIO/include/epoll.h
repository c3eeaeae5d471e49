// epoll(7) and eventfd(2), Linux.
#ifndef CASYNCIO_EPOLL_H
#define CASYNCIO_EPOLL_H

#include <stdint.h>
#include <sys/epoll.h>

// Swift imports the macros and enum cases of <sys/epoll.h> with a type that depends on which module imports the header
// first. These constants are always plain numbers.
static const uint32_t AIO_EPOLLIN = EPOLLIN;
static const uint32_t AIO_EPOLLOUT = EPOLLOUT;
static const uint32_t AIO_EPOLLPRI = EPOLLPRI;
static const uint32_t AIO_EPOLLRDHUP = EPOLLRDHUP;
static const uint32_t AIO_EPOLLHUP = EPOLLHUP;
static const uint32_t AIO_EPOLLERR = EPOLLERR;
static const uint32_t AIO_EPOLLET = (uint32_t)EPOLLET;

int aio_epoll_create(void);
int aio_epoll_add(int epoll, int fd, uint32_t events, uint64_t token);
int aio_epoll_modify(int epoll, int fd, uint32_t events, uint64_t token);
int aio_epoll_remove(int epoll, int fd);
// Moves the epoll set `fresh` to the number `epoll`, replaces the set there, and closes the number `fresh`. Returns 0
// or -errno.
int aio_epoll_replace(int epoll, int fresh);

// Waits at most `nanoseconds` (negative: without a limit). Returns the number of events or -errno.
int aio_epoll_wait(int epoll, struct epoll_event *_Nonnull events, int capacity, int64_t nanoseconds);

static inline uint32_t aio_epoll_event_bits(const struct epoll_event *_Nonnull event) { return event->events; }
static inline uint64_t aio_epoll_event_token(const struct epoll_event *_Nonnull event) { return event->data.u64; }

int aio_eventfd(void);

#endif
