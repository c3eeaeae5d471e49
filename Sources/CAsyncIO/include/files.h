// Regular files that are sent to sockets.
#ifndef CASYNCIO_FILES_H
#define CASYNCIO_FILES_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Returns the size of a regular file; -EINVAL for anything else; -EBADF. fstat(2).
int64_t aio_regular_file_size(int fd);
// Reads at an offset, and leaves the file's position as it is. pread(2).
ssize_t aio_read_at(int fd, void *_Nonnull buffer, size_t size, int64_t offset);
// Sets the file's position. lseek(2).
int aio_set_position(int fd, int64_t offset);
// Sends from a file at an offset, without a copy in this process, and leaves the file's position as it is. Raises no
// SIGPIPE. -ENOSYS on systems other than Linux. sendfile(2).
ssize_t aio_send_file(int socket, int file, int64_t offset, size_t size);

#endif
