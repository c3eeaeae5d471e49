// What only unix sockets have: files, credentials, descriptors that are passed with a message. System calls return the
// result or -errno.
#ifndef CASYNCIO_UNIX_SOCKETS_H
#define CASYNCIO_UNIX_SOCKETS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// What distinguishes a file from all others, as long as something holds it.
typedef struct {
    uint64_t device;
    uint64_t inode;
} aio_file_identity;

// Returns 1 if the file at the path is a socket and 0 if it is another one, also a symbolic link; or -errno.
int aio_socket_file(const char *_Nonnull path, aio_file_identity *_Nonnull identity);
int aio_remove_file(const char *_Nonnull path);
// Sets the permissions of the file at the path, but not those of the target of a symbolic link.
int aio_set_permissions(const char *_Nonnull path, unsigned mode);

// Locks the directory of the path against other processes that create sockets there with this function. If another one
// holds the lock, waits at most 10 ms. Returns a descriptor for aio_unlock_directory, or -errno.
int aio_lock_directory(const char *_Nonnull path);
void aio_unlock_directory(int lock);

typedef struct {
    int32_t process;
    uint32_t user;
    uint32_t group;
} aio_credentials;

// Returns the process at the other end of a connected socket.
int aio_peer_credentials(int fd, aio_credentials *_Nonnull credentials);

// SCM_MAX_FD of the kernel.
#define AIO_MOST_DESCRIPTORS 253

// As aio_send, with at most AIO_MOST_DESCRIPTORS descriptors.
ssize_t aio_send_descriptors(
    int fd, const void *_Nonnull bytes, size_t size, const int *_Nullable descriptors, int count);

// As aio_receive, with at most `capacity` descriptors, which are close-on-exec. `count` is -1 if more were sent, or
// more than the process may have open; then all were closed. Room for AIO_MOST_DESCRIPTORS is needed.
ssize_t aio_receive_descriptors(
    int fd, void *_Nonnull buffer, size_t size, int *_Nonnull descriptors, int capacity, int *_Nonnull count);

#endif
