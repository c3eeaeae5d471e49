#include "batch.h"

#include <stdlib.h>
#include <string.h>

#include "support.h"

/// Returns the array with room for one more element.
static void *grown(void *array, size_t count, size_t *capacity, size_t element_bytes) {
    if (count < *capacity) return array;
    *capacity = *capacity == 0 ? 1024 : 2 * *capacity;
    array = realloc(array, *capacity * element_bytes);
    if (array == NULL) fail("no memory for the messages of one iteration");
    return array;
}

static uint32_t add_piece(struct batch *batch, char *bytes, size_t count) {
    size_t capacity = batch->piece_capacity;
    batch->pieces = grown(batch->pieces, batch->piece_count, &batch->piece_capacity, sizeof *batch->pieces);
    if (batch->piece_capacity != capacity) {
        batch->parts = realloc(batch->parts, batch->piece_capacity * sizeof *batch->parts);
        if (batch->parts == NULL) fail("no memory for the messages of one iteration");
    }
    batch->pieces[batch->piece_count] = (struct piece){.part = {.iov_base = bytes, .iov_len = count}};
    return (uint32_t)batch->piece_count++;
}

uint32_t batch_add(struct batch *batch, struct connection *connection) {
    batch->echoes = grown(batch->echoes, batch->count, &batch->capacity, sizeof *batch->echoes);
    batch->echoes[batch->count] = (struct echo){.connection = connection};
    return (uint32_t)batch->count++;
}

void batch_append(struct batch *batch, uint32_t number, char *bytes, size_t count) {
    struct echo *echo = &batch->echoes[number];
    echo->bytes += count;
    if (echo->piece_count == 0) {
        echo->first = echo->last = add_piece(batch, bytes, count);
        echo->piece_count = 1;
        return;
    }
    struct iovec *last = &batch->pieces[echo->last].part;
    if ((char *)last->iov_base + last->iov_len == bytes) {
        last->iov_len += count;
        return;
    }
    uint32_t piece = add_piece(batch, bytes, count);
    batch->pieces[echo->last].next = piece;
    echo->last = piece;
    echo->piece_count += 1;
}

struct iovec *batch_parts(struct batch *batch, const struct echo *echo) {
    struct iovec *parts = &batch->parts[batch->part_count];
    uint32_t piece = echo->first;
    for (uint32_t index = 0; index < echo->piece_count; index++) {
        parts[index] = batch->pieces[piece].part;
        piece = batch->pieces[piece].next;
    }
    batch->part_count += echo->piece_count;
    return parts;
}

void batch_copy_unsent(const struct batch *batch, const struct echo *echo, char *destination) {
    size_t skipped = echo->sent;
    uint32_t piece = echo->first;
    for (uint32_t index = 0; index < echo->piece_count; index++) {
        struct iovec part = batch->pieces[piece].part;
        piece = batch->pieces[piece].next;
        if (skipped >= part.iov_len) {
            skipped -= part.iov_len;
            continue;
        }
        memcpy(destination, (char *)part.iov_base + skipped, part.iov_len - skipped);
        destination += part.iov_len - skipped;
        skipped = 0;
    }
}

void batch_clear(struct batch *batch) {
    batch->count = batch->piece_count = batch->part_count = batch->short_count = 0;
}
