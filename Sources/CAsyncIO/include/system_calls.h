// System calls of every Unix. They return the result or -errno.
#ifndef CASYNCIO_SYSTEM_CALLS_H
#define CASYNCIO_SYSTEM_CALLS_H

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <arpa/inet.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

// MSG_DONTWAIT, so that a socket that other code has made blocking cannot block a loop.
#if defined(MSG_NOSIGNAL)
#define AIO_SEND_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT)
#else
#define AIO_SEND_FLAGS MSG_DONTWAIT
#endif

// An interrupted call had no effect, so it is repeated here. These functions never return -EINTR.
static inline ssize_t aio_receive(int fd, void *_Nonnull buffer, size_t size) {
    ssize_t count;
    do {
        count = recv(fd, buffer, size, MSG_DONTWAIT);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -(ssize_t)errno : count;
}

// Never raises SIGPIPE.
static inline ssize_t aio_send(int fd, const void *_Nonnull bytes, size_t size) {
    ssize_t count;
    do {
        count = send(fd, bytes, size, AIO_SEND_FLAGS);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -(ssize_t)errno : count;
}

// recvmsg(2) and sendmsg(2), with a `struct msghdr`.
static inline ssize_t aio_receive_message(int fd, void *_Nonnull header) {
    ssize_t count;
    do {
        count = recvmsg(fd, (struct msghdr *)header, MSG_DONTWAIT);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -(ssize_t)errno : count;
}

static inline ssize_t aio_send_message(int fd, const void *_Nonnull header) {
    ssize_t count;
    do {
        count = sendmsg(fd, (const struct msghdr *)header, AIO_SEND_FLAGS);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -(ssize_t)errno : count;
}

// As aio_send, for several pieces. sendmsg(2), because writev(2) would raise SIGPIPE.
static inline ssize_t aio_send_vector(int fd, const struct iovec *_Nonnull pieces, int count) {
    struct msghdr message = {0};
    message.msg_iov = (struct iovec *)pieces;
    message.msg_iovlen = (size_t)count;
    return aio_send_message(fd, &message);
}

static inline int64_t aio_monotonic_nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static inline int64_t aio_monotonic_resolution_nanoseconds(void) {
    struct timespec resolution;
    clock_getres(CLOCK_MONOTONIC, &resolution);
    return (int64_t)resolution.tv_sec * 1000000000 + resolution.tv_nsec;
}

// Each of these creates a descriptor that is non-blocking and close-on-exec. On Linux both are set when it is created.
int aio_socket(int family, int type, int protocol);
int aio_accept(int fd, struct sockaddr_storage *_Nonnull address, socklen_t *_Nonnull length);
int aio_socket_pair(int family, int type, int descriptors[_Nonnull 2]);
int aio_pipe(int descriptors[_Nonnull 2]);

int aio_connect(int fd, const struct sockaddr_storage *_Nonnull address, socklen_t length);
int aio_bind(int fd, const struct sockaddr_storage *_Nonnull address, socklen_t length);
int aio_listen(int fd, int backlog);
int aio_shutdown_write(int fd);
int aio_shutdown_read(int fd);
int aio_shutdown_both(int fd);
// As `aio_receive` and `aio_send`, with the address of the peer. The length is zero if the kernel reports no address.
ssize_t aio_receive_from(
    int fd, void *_Nonnull buffer, size_t size, struct sockaddr_storage *_Nonnull address, socklen_t *_Nonnull length);
ssize_t aio_send_to(
    int fd, const void *_Nonnull bytes, size_t size, const struct sockaddr_storage *_Nonnull address, socklen_t length);
// Whether the file is non-blocking: 0 or 1, or -errno.
int aio_is_non_blocking(int fd);
int aio_set_non_blocking(int fd, int on);
int aio_set_close_on_exec(int fd);
// Moves bytes between two descriptors, one of which is a pipe. An offset below 0 stands for the current position. Linux
// only. splice(2).
ssize_t aio_splice(int source, int64_t source_offset, int target, int64_t target_offset, size_t size);
// Opens a descriptor of a process, which becomes readable when the process ends. Linux only. pidfd_open(2).
int aio_open_process(int pid);
// EINTR counts as success: on Linux the descriptor is closed, and a second close could close another file.
int aio_close(int fd);
// Returns 0, or -EBADF.
int aio_check_open(int fd);
// Returns 0; -EBADF; -EPERM for a regular file or a directory, which are always ready.
int aio_check_pollable(int fd);
// Returns the number that identifies an open socket (st_ino); 0 if the descriptor is not open.
uint64_t aio_file_number(int fd);
int aio_local_address(int fd, struct sockaddr_storage *_Nonnull address, socklen_t *_Nonnull length);
int aio_peer_address(int fd, struct sockaddr_storage *_Nonnull address, socklen_t *_Nonnull length);
int aio_get_option(int fd, int level, int name, int *_Nonnull value);
int aio_set_option(int fd, int level, int name, int value);
// Sets SO_LINGER with zero seconds: closing the socket then resets the connection.
int aio_set_reset_on_close(int fd);

ssize_t aio_read(int fd, void *_Nonnull buffer, size_t size);
ssize_t aio_write(int fd, const void *_Nonnull bytes, size_t size);

// Returns how many descriptors the process may have open (RLIMIT_NOFILE); -1 without a limit.
int64_t aio_descriptor_limit(void);

#endif
