// poll(2), every Unix.
#ifndef CASYNCIO_POLL_WAIT_H
#define CASYNCIO_POLL_WAIT_H

#include <poll.h>
#include <stdint.h>

// The constants with the type of the fields they are used for; Swift imports the macros with other types.
static const short AIO_POLLIN = POLLIN;
static const short AIO_POLLOUT = POLLOUT;
static const short AIO_POLLERR = POLLERR;
static const short AIO_POLLHUP = POLLHUP;
static const short AIO_POLLNVAL = POLLNVAL;
#if defined(__linux__)
// <poll.h> declares it only with _GNU_SOURCE, which no header here defines.
static const short AIO_POLLRDHUP = 0x2000;
#else
static const short AIO_POLLRDHUP = 0;
#endif

// Waits at most `nanoseconds` (negative: without a limit). Returns the number of entries with events or -errno.
int aio_poll_wait(struct pollfd *_Nullable entries, int count, int64_t nanoseconds);

#endif
