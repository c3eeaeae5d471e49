#define _GNU_SOURCE
#include "include/pipes.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "include/system_calls.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <sys/sysmacros.h>

// The value of <linux/fs.h>; <sys/uio.h> declares it only in newer versions.
enum { NO_WAIT = 0x8 };

// UNIX98 pseudo-terminals. One whose controlling side was closed is no terminal any more, for tcgetattr(3).
static bool is_pseudo_terminal(const struct stat *status) {
    unsigned number = major(status->st_rdev);
    return number >= 136 && number <= 143;
}

static bool is_controller(int fd) {
    unsigned number;
    return ioctl(fd, TIOCGPTN, &number) == 0;
}
#else
static bool is_pseudo_terminal(const struct stat *status) { return false; }
static bool is_controller(int fd) { return false; }
#endif

static int result(int value) { return value < 0 ? -errno : value; }

int aio_file_kind(int fd) {
    struct stat status;
    if (fstat(fd, &status) < 0) return -errno;
    switch (status.st_mode & S_IFMT) {
    case S_IFIFO: return AIO_FILE_PIPE;
    case S_IFSOCK: return AIO_FILE_SOCKET;
    case S_IFREG: return AIO_FILE_REGULAR;
    case S_IFCHR: break;
    default: return AIO_FILE_OTHER;
    }
    if (is_controller(fd)) return AIO_FILE_TERMINAL_CONTROLLER;
    struct termios modes;
    return is_pseudo_terminal(&status) || tcgetattr(fd, &modes) == 0 ? AIO_FILE_TERMINAL : AIO_FILE_DEVICE;
}

int aio_access_mode(int fd) {
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0) return -errno;
    int mode = flags & O_ACCMODE;
    return mode == O_RDONLY ? 0 : mode == O_WRONLY ? 1 : 2;
}

static short poll_now(int fd, short events) {
    struct pollfd entry = {.fd = fd, .events = events};
    return poll(&entry, 1, 0) == 1 ? entry.revents : 0;
}

int aio_reopen(int fd) {
#if defined(__linux__)
    struct stat former, opened;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fstat(fd, &former) < 0) return -errno;
    char path[sizeof "/proc/self/fd/-2147483648"];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int kept = flags & (O_ACCMODE | O_APPEND | O_DIRECT);
    int again = open(path, kept | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (again < 0) return -errno;
    bool is_same = fstat(again, &opened) == 0 && opened.st_dev == former.st_dev && opened.st_ino == former.st_ino &&
                   opened.st_rdev == former.st_rdev;
    // A FIFO whose writers have left: the new open file would wait for the next writer instead of meeting EOF.
    bool has_lost_end = (poll_now(fd, 0) & POLLHUP) != 0 && (poll_now(again, 0) & POLLHUP) == 0;
    if (is_same && !has_lost_end) return again;
    close(again);
#endif
    return -ENOTSUP;
}

int aio_replace(int fd, int source) {
    int value;
    do {
#if defined(__linux__)
        value = result(dup3(source, fd, O_CLOEXEC));
#else
        value = result(dup2(source, fd));
#endif
    } while (value == -EINTR || value == -EBUSY);
    close(source);
    return value;
}

int aio_duplicate(int fd) { return result(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }

ssize_t aio_read_at_once(int fd, void *buffer, size_t size) {
#if defined(__linux__)
    struct iovec piece = {.iov_base = buffer, .iov_len = size};
    // Not every file, nor every kernel, takes the flag.
    ssize_t count = syscall(SYS_preadv2, fd, &piece, 1UL, -1L, -1L, NO_WAIT);
    if (count >= 0) return count;
    if (errno == EAGAIN) return -EAGAIN;
#endif
    return poll_now(fd, POLLIN) == 0 ? -EAGAIN : aio_read(fd, buffer, size);
}

// A write to a pipe without a reader raises SIGPIPE, directed to the thread. It is blocked meanwhile, and consumed.
struct pipe_signal {
    sigset_t set, former_mask;
    bool was_pending;
};

static void block_pipe_signal(struct pipe_signal *guard) {
    sigemptyset(&guard->set);
    sigaddset(&guard->set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &guard->set, &guard->former_mask);
    guard->was_pending = false;
    // One that is pending already has another cause. It can be pending only where it was blocked before.
    if (sigismember(&guard->former_mask, SIGPIPE) == 1) {
        sigset_t pending;
        guard->was_pending = sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
    }
}

static void unblock_pipe_signal(struct pipe_signal *guard, ssize_t written) {
    if (written == -EPIPE && !guard->was_pending) {
#if defined(__linux__)
        struct timespec none = {0};
        while (sigtimedwait(&guard->set, NULL, &none) < 0 && errno == EINTR) {}
#else
        sigset_t pending;
        int taken;
        if (sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1) sigwait(&guard->set, &taken);
#endif
    }
    pthread_sigmask(SIG_SETMASK, &guard->former_mask, NULL);
}

ssize_t aio_write_vector(int fd, const struct iovec *pieces, int count) {
    struct pipe_signal guard;
    block_pipe_signal(&guard);
    ssize_t written;
    do {
        written = writev(fd, pieces, count);
        if (written < 0) written = -(ssize_t)errno;
    } while (written == -EINTR);
    unblock_pipe_signal(&guard, written);
    return written;
}

static ssize_t write_at_once(int fd, const void *bytes, size_t size, size_t most) {
#if defined(__linux__)
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = size};
    ssize_t count = syscall(SYS_pwritev2, fd, &piece, 1UL, -1L, -1L, NO_WAIT);
    if (count >= 0) return count;
    if (errno == EAGAIN || errno == EPIPE) return -(ssize_t)errno;
#endif
    return poll_now(fd, POLLOUT) == 0 ? -EAGAIN : aio_write(fd, bytes, size < most ? size : most);
}

ssize_t aio_write_at_once(int fd, const void *bytes, size_t size, size_t most) {
    struct pipe_signal guard;
    block_pipe_signal(&guard);
    ssize_t written = write_at_once(fd, bytes, size, most);
    unblock_pipe_signal(&guard, written);
    return written;
}

bool aio_has_hung_up(int fd) { return (poll_now(fd, 0) & (POLLERR | POLLHUP | POLLNVAL)) != 0; }
