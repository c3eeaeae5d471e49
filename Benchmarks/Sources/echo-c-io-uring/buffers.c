#include "buffers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support.h"

// Linux 6.12; Debian's headers are older.
enum { BUFFER_RING_INCREMENTAL = 2, COMPLETION_BUFFER_MORE = 1 << 4 };

/// The kernel's io_uring_buf_reg. Older headers have no name for the flags.
struct registration {
    uint64_t address;
    uint32_t count;
    uint16_t group;
    uint16_t flags;
    uint64_t reserved[3];
};
_Static_assert(sizeof(struct registration) == sizeof(struct io_uring_buf_reg), "the kernel's layout");

static void *allocate(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) fail_errno("no memory for %zu bytes of buffers", bytes);
    return memory;
}

static void provide(struct buffers *buffers, uint16_t number) {
    buffers->used[number] = 0;
    // Field by field, because the tail of the ring occupies the last field of the first entry.
    struct io_uring_buf *entry = &buffers->ring->bufs[buffers->tail++ & (buffers->count - 1)];
    entry->addr = (uint64_t)(buffers->memory + number * buffers->bytes);
    entry->len = (uint32_t)buffers->bytes;
    entry->bid = number;
}

static void publish(struct buffers *buffers) {
    atomic_store_explicit((_Atomic uint16_t *)&buffers->ring->tail, buffers->tail, memory_order_release);
}

bool buffers_open(struct buffers *buffers, const struct ring *ring, size_t count, size_t bytes, bool whole) {
    *buffers = (struct buffers){.count = count, .bytes = bytes};
    buffers->ring = allocate(count * sizeof(struct io_uring_buf));
    struct registration registration = {
        .address = (uint64_t)buffers->ring, .count = (uint32_t)count, .group = BUFFER_GROUP,
        .flags = whole ? 0 : BUFFER_RING_INCREMENTAL};
    if (syscall(SYS_io_uring_register, ring->file, IORING_REGISTER_PBUF_RING, &registration, 1) != 0) return false;
    buffers->memory = allocate(count * bytes);
    buffers->used = calloc(count, sizeof *buffers->used);
    buffers->retired = calloc(count, sizeof *buffers->retired);
    if (buffers->used == NULL || buffers->retired == NULL) fail("no memory for %zu buffers", count);
    for (size_t number = 0; number < count; number++) provide(buffers, (uint16_t)number);
    publish(buffers);
    return true;
}

char *buffers_received(struct buffers *buffers, const struct io_uring_cqe *completion) {
    uint16_t number = (uint16_t)(completion->flags >> IORING_CQE_BUFFER_SHIFT);
    char *bytes = buffers->memory + number * buffers->bytes + buffers->used[number];
    // Completions arrive in the order of the receives.
    buffers->used[number] += (size_t)completion->res;
    if ((completion->flags & COMPLETION_BUFFER_MORE) == 0) buffers->retired[buffers->retired_count++] = number;
    return bytes;
}

void buffers_recycle(struct buffers *buffers) {
    if (buffers->sent_count > 0) {
        for (size_t index = 0; index < buffers->sent_count; index++) provide(buffers, buffers->retired[index]);
        publish(buffers);
        buffers->retired_count -= buffers->sent_count;
        memmove(buffers->retired, buffers->retired + buffers->sent_count,
                buffers->retired_count * sizeof *buffers->retired);
    }
    buffers->sent_count = buffers->retired_count;
}
