// Descriptors that are not sockets: pipes, terminals, other devices, files. The functions return the result or -errno.
#ifndef CASYNCIO_PIPES_H
#define CASYNCIO_PIPES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

static const int AIO_FILE_PIPE = 1;
static const int AIO_FILE_SOCKET = 2;
// A terminal: the side of a pseudo-terminal that programs use, or a real one.
static const int AIO_FILE_TERMINAL = 3;
// The controlling side of a pseudo-terminal.
static const int AIO_FILE_TERMINAL_CONTROLLER = 4;
// Another character device.
static const int AIO_FILE_DEVICE = 5;
static const int AIO_FILE_REGULAR = 6;
// A directory, a block device, or a file of the kernel, such as an eventfd.
static const int AIO_FILE_OTHER = 7;

// Returns one of the constants above. fstat(2).
int aio_file_kind(int fd);
// Returns the access mode: 0 for reading, 1 for writing, 2 for both. fcntl(2).
int aio_access_mode(int fd);

// Opens the pipe or the terminal of a descriptor again, non-blocking and close-on-exec: another open file, whose flags
// are not shared with other processes. Not for devices that are new at every open, such as the controlling side of a
// pseudo-terminal. Linux only.
int aio_reopen(int fd);
// Makes the number `fd` refer to the open file of `source`, which is closed. dup3(2).
int aio_replace(int fd, int source);
// Returns a duplicate that is close-on-exec. fcntl(2).
int aio_duplicate(int fd);

// As aio_read, for a file that is blocking: returns -EAGAIN where read(2) would wait.
ssize_t aio_read_at_once(int fd, void *_Nonnull buffer, size_t size);
// writev(2). Raises no SIGPIPE.
ssize_t aio_write_vector(int fd, const struct iovec *_Nonnull pieces, int count);
// Writes a part of `bytes` to a file that is blocking: returns -EAGAIN where write(2) would wait. Raises no SIGPIPE.
// If the system cannot write without waiting, at most `most` bytes are written when poll(2) says that there is room.
ssize_t aio_write_at_once(int fd, const void *_Nonnull bytes, size_t size, size_t most);

// Whether the other side was closed, or the file has failed. poll(2).
bool aio_has_hung_up(int fd);

#endif
