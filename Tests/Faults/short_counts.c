// What strace cannot inject, because the call must be made: calls that move fewer bytes than they were asked to, closes
// that return an error although the descriptor is closed, connects that are interrupted and continue, and an error of
// an open(2) that the program makes in every run. Preloaded into a program.
//
//   FAULTS_MOST_SENT=N      no call on a socket or a pipe sends more than N bytes
//   FAULTS_MOST_RECEIVED=N  no call on a socket or a pipe receives more than N bytes
//   FAULTS_CLOSE=N          close(2) closes, and returns the error N
//   FAULTS_CONNECT=N        connect(2) begins, and returns the error N
//   FAULTS_REOPEN=N         no descriptor can be opened again through /proc, because of the error N
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { MOST_PIECES = 1024 };

static long number(const char *name) {
    const char *value = getenv(name);
    return value ? atol(value) : 0;
}

static const char *const SENT = "FAULTS_MOST_SENT", *const RECEIVED = "FAULTS_MOST_RECEIVED";

static size_t most(const char *direction, size_t count) {
    long limit = number(direction);
    return limit > 0 && (size_t)limit < count ? (size_t)limit : count;
}

static int has_type(int fd, int wanted) {
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == wanted;
}

// Whether calls may move less: not on an eventfd, whose counter is read and written as a whole, and no datagrams.
static int is_stream(int fd) {
    struct stat status;
    if (fstat(fd, &status) != 0) return 0;
    return S_ISFIFO(status.st_mode) || (S_ISSOCK(status.st_mode) && has_type(fd, SOCK_STREAM));
}

static size_t most_on(int fd, const char *direction, size_t size) { return is_stream(fd) ? most(direction, size) : size; }

#define REAL(function) ((__typeof__(&function))dlsym(RTLD_NEXT, #function))

ssize_t recv(int fd, void *buffer, size_t size, int flags) {
    return REAL(recv)(fd, buffer, most_on(fd, RECEIVED, size), flags);
}

ssize_t send(int fd, const void *bytes, size_t size, int flags) {
    return REAL(send)(fd, bytes, most_on(fd, SENT, size), flags);
}

ssize_t sendfile(int socket, int file, off_t *offset, size_t size) {
    return REAL(sendfile)(socket, file, offset, most_on(socket, SENT, size));
}

ssize_t read(int fd, void *buffer, size_t size) { return REAL(read)(fd, buffer, most_on(fd, RECEIVED, size)); }

ssize_t write(int fd, const void *bytes, size_t size) { return REAL(write)(fd, bytes, most_on(fd, SENT, size)); }

// Copies the pieces up to the limit. Returns their number.
static size_t shorten(const char *direction, const struct iovec *pieces, size_t count, struct iovec *shortened) {
    size_t left = most(direction, SIZE_MAX), used = 0;
    for (; used < count && used < MOST_PIECES && left > 0; used++) {
        shortened[used] = pieces[used];
        if (shortened[used].iov_len > left) shortened[used].iov_len = left;
        left -= shortened[used].iov_len;
    }
    return used;
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
    if (!is_stream(fd)) return REAL(sendmsg)(fd, message, flags);
    struct iovec pieces[MOST_PIECES];
    struct msghdr header = *message;
    header.msg_iovlen = shorten(SENT, message->msg_iov, message->msg_iovlen, pieces);
    header.msg_iov = pieces;
    return REAL(sendmsg)(fd, &header, flags);
}

ssize_t readv(int fd, const struct iovec *vector, int count) {
    struct iovec pieces[MOST_PIECES];
    return REAL(readv)(fd, pieces, (int)shorten(RECEIVED, vector, (size_t)count, pieces));
}

ssize_t writev(int fd, const struct iovec *vector, int count) {
    struct iovec pieces[MOST_PIECES];
    return REAL(writev)(fd, pieces, (int)shorten(SENT, vector, (size_t)count, pieces));
}

static int or_fault(int result, const char *name) {
    long error = number(name);
    if (error == 0) return result;
    errno = (int)error;
    return -1;
}

int close(int fd) {
    int result = REAL(close)(fd);
    return result < 0 ? result : or_fault(result, "FAULTS_CLOSE");
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
    int result = REAL(connect)(fd, address, length);
    if (result < 0 && errno != EINPROGRESS) return result;
    return or_fault(result, "FAULTS_CONNECT");
}

int open(const char *path, int flags, ...) {
    static const char again[] = "/proc/self/fd/";
    if (strncmp(path, again, sizeof again - 1) == 0 && or_fault(0, "FAULTS_REOPEN") < 0) return -1;
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return REAL(open)(path, flags, mode);
}
