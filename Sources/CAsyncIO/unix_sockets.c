#define _GNU_SOURCE
#include "include/unix_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static int result(int value) { return value < 0 ? -errno : value; }

int aio_socket_file(const char *path, aio_file_identity *identity) {
    struct stat status;
    if (lstat(path, &status) < 0) return -errno;
    identity->device = (uint64_t)status.st_dev;
    identity->inode = (uint64_t)status.st_ino;
    return S_ISSOCK(status.st_mode);
}

int aio_remove_file(const char *path) { return result(unlink(path)); }

int aio_lock_directory(const char *path) {
    // No longer than the address of a socket.
    char directory[sizeof(struct sockaddr_un)] = ".";
    const char *slash = strrchr(path, '/');
    size_t length = slash == path ? 1 : slash ? (size_t)(slash - path) : 0;
    if (length >= sizeof directory) return -ENAMETOOLONG;
    if (length > 0) {
        memcpy(directory, path, length);
        directory[length] = 0;
    }
    int lock = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (lock < 0) return -errno;
    for (int attempt = 0;; attempt++) {
        if (flock(lock, LOCK_EX | LOCK_NB) == 0) return lock;
        int error = errno;
        if (error != EINTR && (error != EWOULDBLOCK || attempt >= 20)) {
            close(lock);
            return -error;
        }
        struct timespec pause = {.tv_nsec = 500000};
        nanosleep(&pause, NULL);
    }
}

void aio_unlock_directory(int lock) {
    // Explicitly, because a child process that is being started may have a duplicate.
    flock(lock, LOCK_UN);
    close(lock);
}
