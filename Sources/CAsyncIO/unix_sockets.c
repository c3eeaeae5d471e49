#define _GNU_SOURCE
#include "include/system_calls.h"
#include "include/unix_sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
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

int aio_set_permissions(const char *path, unsigned mode) {
    return result(fchmodat(AT_FDCWD, path, (mode_t)mode, AT_SYMLINK_NOFOLLOW));
}

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

int aio_peer_credentials(int fd, aio_credentials *credentials) {
#if defined(__linux__)
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return -errno;
    *credentials = (aio_credentials){.process = peer.pid, .user = peer.uid, .group = peer.gid};
    return 0;
#else
    uid_t user;
    gid_t group;
    if (getpeereid(fd, &user, &group) < 0) return -errno;
    *credentials = (aio_credentials){.user = user, .group = group};
#if defined(LOCAL_PEERPID)
    pid_t process;
    socklen_t length = sizeof process;
    if (getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &process, &length) == 0) credentials->process = process;
#endif
    return 0;
#endif
}

#if defined(MSG_CMSG_CLOEXEC)
#define RECEIVE_FLAGS (MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
#else
#define RECEIVE_FLAGS MSG_DONTWAIT
#endif

// What the kernel writes before the descriptors if the program has set SO_PASSCRED.
#if defined(__linux__)
#define OTHER_SPACE CMSG_SPACE(sizeof(struct ucred))
#else
#define OTHER_SPACE 0
#endif

ssize_t aio_send_descriptors(int fd, const void *bytes, size_t size, const int *descriptors, int count) {
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(AIO_MOST_DESCRIPTORS * sizeof(int))] = {0};
    struct iovec piece = {.iov_base = (void *)bytes, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1};
    if (count > 0 && descriptors) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
        memcpy(CMSG_DATA(header), descriptors, (size_t)count * sizeof(int));
    }
    return aio_send_message(fd, &message);
}

ssize_t aio_receive_descriptors(int fd, void *buffer, size_t size, int *descriptors, int capacity, int *count) {
    _Alignas(struct cmsghdr) char control[OTHER_SPACE + CMSG_SPACE(AIO_MOST_DESCRIPTORS * sizeof(int))];
    struct iovec piece = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control};
    // No more than that many: the kernel closes what does not fit.
    size_t room = OTHER_SPACE + CMSG_LEN((size_t)capacity * sizeof(int));
    ssize_t length;
    do {
        message.msg_controllen = room;
        length = recvmsg(fd, &message, RECEIVE_FLAGS);
    } while (length < 0 && errno == EINTR);
    *count = 0;
    if (length < 0) return -(ssize_t)errno;
    int found = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t bytes = header->cmsg_len - CMSG_LEN(0);
        for (size_t index = 0; index < bytes / sizeof(int); index++) {
            int descriptor;
            memcpy(&descriptor, CMSG_DATA(header) + index * sizeof(int), sizeof descriptor);
#if !defined(MSG_CMSG_CLOEXEC)
            fcntl(descriptor, F_SETFD, FD_CLOEXEC);
#endif
            if (found < AIO_MOST_DESCRIPTORS) {
                descriptors[found++] = descriptor;
            } else {
                close(descriptor);
            }
        }
    }
    if (found > capacity || (message.msg_flags & MSG_CTRUNC) != 0) {
        while (found > 0) close(descriptors[--found]);
        *count = -1;
    } else {
        *count = found;
    }
    return length;
}
