// What only unix sockets have: files. System calls return the result or -errno.
#ifndef CASYNCIO_UNIX_SOCKETS_H
#define CASYNCIO_UNIX_SOCKETS_H

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

// Locks the directory of the path against other processes that create sockets there with this function. If another one
// holds the lock, waits at most 10 ms. Returns a descriptor for aio_unlock_directory, or -errno.
int aio_lock_directory(const char *_Nonnull path);
void aio_unlock_directory(int lock);

#endif
