// The bytes that were received in one iteration, by connection. They are sent with one operation per connection.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

struct connection;

struct echo {
    struct connection *connection;
    size_t bytes;
    // How many of them the kernel has accepted: all, unless a completion says otherwise.
    size_t sent;
    uint32_t first;
    uint32_t last;
    uint32_t piece_count;
    // For more than one piece.
    struct msghdr message;
};

/// Contiguous bytes of an echo. The pieces of one echo are linked by their numbers.
struct piece {
    struct iovec part;
    uint32_t next;
};

struct batch {
    struct echo *echoes;
    size_t count;
    size_t capacity;
    struct piece *pieces;
    size_t piece_count;
    size_t piece_capacity;
    // Room for the pieces in the order of their echoes, where the kernel reads them.
    struct iovec *parts;
    size_t part_count;
    // How many sends were not accepted as a whole.
    size_t short_count;
};

/// Appends an echo without bytes and returns its number.
uint32_t batch_add(struct batch *batch, struct connection *connection);

/// Appends bytes to an echo. They are not copied.
void batch_append(struct batch *batch, uint32_t number, char *bytes, size_t count);

/// The pieces of an echo, as one array that is valid until the batch is cleared.
struct iovec *batch_parts(struct batch *batch, const struct echo *echo);

/// Copies the bytes of an echo that the kernel has not accepted.
void batch_copy_unsent(const struct batch *batch, const struct echo *echo, char *destination);

void batch_clear(struct batch *batch);
