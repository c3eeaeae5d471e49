// The memory into which the kernel receives: a ring of provided buffers, which all connections share.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ring.h"

/// The group of the buffers, in a submission that selects one of them.
enum { BUFFER_GROUP = 0 };

struct buffers {
    struct io_uring_buf_ring *ring;
    uint16_t tail;
    char *memory;
    size_t count;
    size_t bytes;
    // How much of each buffer is used. The kernel takes the next buffer when one is full, so one buffer serves many
    // small messages, and a large message needs few buffers.
    size_t *used;
    // The buffers that the kernel does not use any more, in the order in which they are provided again, and how many
    // of them are no longer needed by a send.
    uint16_t *retired;
    size_t retired_count;
    size_t sent_count;
};

/// Provides `count` buffers, a power of two, of `bytes` each. If `whole`, each receive takes a whole buffer. Returns
/// false, and sets `errno`, if the system refuses: with EINVAL if the kernel is older than 6.12, unless `whole`.
bool buffers_open(struct buffers *buffers, const struct ring *ring, size_t count, size_t bytes, bool whole);

/// Returns the bytes of a completed receive. They remain valid until the second call of `buffers_recycle` from now.
char *buffers_received(struct buffers *buffers, const struct io_uring_cqe *completion);

/// Provides the buffers again whose bytes were received before the previous call. Call it once in each iteration, when
/// all sends of the previous iteration have ended.
void buffers_recycle(struct buffers *buffers);

/// How many buffers are not entirely used.
static inline size_t buffers_free(const struct buffers *buffers) {
    return buffers->count - buffers->retired_count;
}
