#define _GNU_SOURCE
#include "include/system_calls.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

static int result(int value) { return value < 0 ? -errno : value; }

#if !defined(__linux__)
// Darwin's socket(2) has no such flags: a child that is forked between the two calls inherits the descriptor.
static int prepare(int fd) {
    if (fd < 0) return -errno;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) < 0) {
        int error = errno;
        close(fd);
        return -error;
    }
#if defined(SO_NOSIGPIPE)
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    return fd;
}

static int prepare_both(int descriptors[2]) {
    int first = prepare(descriptors[0]), second = prepare(descriptors[1]);
    if (first >= 0 && second >= 0) return 0;
    // The descriptor that failed was closed by prepare().
    if (first >= 0) close(first);
    if (second >= 0) close(second);
    return first < 0 ? first : second;
}
#endif

int aio_socket(int family, int type, int protocol) {
#if defined(__linux__)
    return result(socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol));
#else
    return prepare(socket(family, type, protocol));
#endif
}

int aio_accept(int fd, struct sockaddr_storage *address, socklen_t *length) {
    *length = sizeof *address;
    int accepted;
    do {
#if defined(__linux__)
        accepted = result(accept4(fd, (struct sockaddr *)address, length, SOCK_NONBLOCK | SOCK_CLOEXEC));
#else
        accepted = prepare(accept(fd, (struct sockaddr *)address, length));
#endif
    } while (accepted == -EINTR);
    return accepted;
}

int aio_socket_pair(int family, int type, int descriptors[2]) {
#if defined(__linux__)
    return result(socketpair(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, descriptors));
#else
    if (socketpair(family, type, 0, descriptors) < 0) return -errno;
    return prepare_both(descriptors);
#endif
}

int aio_pipe(int descriptors[2]) {
#if defined(__linux__)
    return result(pipe2(descriptors, O_NONBLOCK | O_CLOEXEC));
#else
    if (pipe(descriptors) < 0) return -errno;
    return prepare_both(descriptors);
#endif
}

int aio_connect(int fd, const struct sockaddr_storage *address, socklen_t length) {
    // An interrupted connect continues in the kernel; a second call would fail with EALREADY.
    int value = result(connect(fd, (const struct sockaddr *)address, length));
    return value == -EINTR ? -EINPROGRESS : value;
}

int aio_bind(int fd, const struct sockaddr_storage *address, socklen_t length) {
    return result(bind(fd, (const struct sockaddr *)address, length));
}

int aio_listen(int fd, int backlog) { return result(listen(fd, backlog)); }

int aio_shutdown_write(int fd) { return result(shutdown(fd, SHUT_WR)); }

int aio_check_open(int fd) { return fcntl(fd, F_GETFD) < 0 ? -errno : 0; }

int aio_check_pollable(int fd) {
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return -errno;
    }
    return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ? -EPERM : 0;
}

uint64_t aio_file_number(int fd) {
    struct stat status;
    return fstat(fd, &status) < 0 ? 0 : status.st_ino;
}

int aio_shutdown_read(int fd) { return result(shutdown(fd, SHUT_RD)); }

int aio_shutdown_both(int fd) { return result(shutdown(fd, SHUT_RDWR)); }

ssize_t aio_receive_from(int fd, void *buffer, size_t size, struct sockaddr_storage *address, socklen_t *length) {
    ssize_t count;
    do {
        *length = sizeof *address;
        count = recvfrom(fd, buffer, size, MSG_DONTWAIT, (struct sockaddr *)address, length);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -(ssize_t)errno : count;
}

ssize_t aio_send_to(
    int fd, const void *bytes, size_t size, const struct sockaddr_storage *address, socklen_t length) {
    ssize_t count;
    do {
        count = sendto(fd, bytes, size, AIO_SEND_FLAGS, (const struct sockaddr *)address, length);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -(ssize_t)errno : count;
}

int aio_is_non_blocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 ? -errno : (flags & O_NONBLOCK) != 0;
}

int aio_set_non_blocking(int fd, int on) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    int wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return wanted == flags ? 0 : result(fcntl(fd, F_SETFL, wanted));
}

int aio_set_close_on_exec(int fd) { return result(fcntl(fd, F_SETFD, FD_CLOEXEC)); }

int aio_close(int fd) {
    int value = result(close(fd));
    return value == -EINTR ? 0 : value;
}

int aio_local_address(int fd, struct sockaddr_storage *address, socklen_t *length) {
    *length = sizeof *address;
    return result(getsockname(fd, (struct sockaddr *)address, length));
}

int aio_peer_address(int fd, struct sockaddr_storage *address, socklen_t *length) {
    *length = sizeof *address;
    return result(getpeername(fd, (struct sockaddr *)address, length));
}

int aio_get_option(int fd, int level, int name, int *value) {
    socklen_t length = sizeof *value;
    return result(getsockopt(fd, level, name, value, &length));
}

int aio_set_option(int fd, int level, int name, int value) {
    return result(setsockopt(fd, level, name, &value, sizeof value));
}

int aio_set_reset_on_close(int fd) {
    struct linger linger = {.l_onoff = 1, .l_linger = 0};
    return result(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger));
}

ssize_t aio_read(int fd, void *buffer, size_t size) {
    ssize_t count;
    do {
        count = read(fd, buffer, size);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -(ssize_t)errno : count;
}

ssize_t aio_write(int fd, const void *bytes, size_t size) {
    ssize_t count;
    do {
        count = write(fd, bytes, size);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -(ssize_t)errno : count;
}

int64_t aio_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY) return -1;
    return (int64_t)limit.rlim_cur;
}

ssize_t aio_splice(int source, int64_t source_offset, int target, int64_t target_offset, size_t size) {
#if defined(__linux__)
    loff_t from = source_offset, to = target_offset;
    ssize_t count;
    do {
        count = splice(
            source, from < 0 ? NULL : &from, target, to < 0 ? NULL : &to, size, SPLICE_F_NONBLOCK);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -(ssize_t)errno : count;
#else
    return -ENOTSUP;
#endif
}

int aio_open_process(int pid) {
#if defined(__linux__)
    return result((int)syscall(SYS_pidfd_open, pid, 0));
#else
    return -ENOTSUP;
#endif
}
