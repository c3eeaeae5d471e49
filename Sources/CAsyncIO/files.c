#define _GNU_SOURCE
#include "include/files.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/sendfile.h>
#endif

int64_t aio_regular_file_size(int fd) {
    struct stat status;
    if (fstat(fd, &status) < 0) return -errno;
    return S_ISREG(status.st_mode) ? status.st_size : -EINVAL;
}

ssize_t aio_read_at(int fd, void *buffer, size_t size, int64_t offset) {
    ssize_t count;
    do {
        count = pread(fd, buffer, size, offset);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -(ssize_t)errno : count;
}

int aio_set_position(int fd, int64_t offset) { return lseek(fd, offset, SEEK_SET) < 0 ? -errno : 0; }

#if defined(__linux__)
// sendfile(2) has no MSG_NOSIGNAL. The signal is directed to the thread, so it can be taken while it is blocked.
static void take_pipe_signal(const sigset_t *pipe_signal, int was_pending) {
    struct timespec no_time = {0};
    if (was_pending) return;
    while (sigtimedwait(pipe_signal, NULL, &no_time) < 0 && errno == EINTR) {}
}

ssize_t aio_send_file(int socket, int file, int64_t offset, size_t size) {
    sigset_t pipe_signal, former_mask, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &former_mask);
    // A SIGPIPE that is pending already has another cause. It cannot be pending unless it was blocked before.
    int was_pending = 0;
    if (sigismember(&former_mask, SIGPIPE)) {
        sigpending(&pending);
        was_pending = sigismember(&pending, SIGPIPE);
    }
    off_t from = offset;
    ssize_t count;
    do {
        count = sendfile(socket, file, &from, size);
    } while (count < 0 && errno == EINTR);
    if (count < 0) count = -(ssize_t)errno;
    if (count == -EPIPE) take_pipe_signal(&pipe_signal, was_pending);
    pthread_sigmask(SIG_SETMASK, &former_mask, NULL);
    return count;
}
#else
ssize_t aio_send_file(int socket, int file, int64_t offset, size_t size) { return -ENOSYS; }
#endif
