#include "ring.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support.h"

// Linux 6.6; Debian's headers are older.
#ifndef IORING_SETUP_NO_SQARRAY
#define IORING_SETUP_NO_SQARRAY (1U << 16)
#endif

static char *map(const struct ring *ring, size_t bytes, off_t offset) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->file, offset);
    if (memory == MAP_FAILED) fail_errno("the ring cannot be mapped");
    return memory;
}

bool ring_open(struct ring *ring, unsigned submissions, unsigned completions) {
    struct io_uring_params parameters;
    unsigned flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_SUBMIT_ALL
        | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    unsigned optional = IORING_SETUP_NO_SQARRAY;
    for (;;) {
        parameters = (struct io_uring_params){.flags = flags | optional, .cq_entries = completions};
        ring->file = (int)syscall(SYS_io_uring_setup, submissions, &parameters);
        if (ring->file >= 0) break;
        if (errno != EINVAL || optional == 0) return false;
        optional = 0;
    }
    // Kernels that accept these flags map both rings at once.
    size_t queue_bytes = parameters.sq_off.array + parameters.sq_entries * sizeof(unsigned);
    size_t completion_bytes = parameters.cq_off.cqes + parameters.cq_entries * sizeof(struct io_uring_cqe);
    char *rings = map(ring, queue_bytes > completion_bytes ? queue_bytes : completion_bytes, IORING_OFF_SQ_RING);
    size_t submission_bytes = parameters.sq_entries * sizeof(struct io_uring_sqe);
    ring->submissions = (struct io_uring_sqe *)map(ring, submission_bytes, IORING_OFF_SQES);
    ring->submission_head = (_Atomic unsigned *)(rings + parameters.sq_off.head);
    ring->submission_tail = (_Atomic unsigned *)(rings + parameters.sq_off.tail);
    ring->submission_flags = (_Atomic unsigned *)(rings + parameters.sq_off.flags);
    ring->submission_count = parameters.sq_entries;
    ring->prepared = 0;
    ring->completions = (struct io_uring_cqe *)(rings + parameters.cq_off.cqes);
    ring->completion_head = (_Atomic unsigned *)(rings + parameters.cq_off.head);
    ring->completion_tail = (_Atomic unsigned *)(rings + parameters.cq_off.tail);
    ring->completion_mask = parameters.cq_entries - 1;
    if (optional == 0) {
        unsigned *order = (unsigned *)(rings + parameters.sq_off.array);
        for (unsigned index = 0; index < parameters.sq_entries; index++) order[index] = index;
    }

    struct io_uring_rsrc_update itself = {.offset = UINT32_MAX, .data = (uint64_t)ring->file};
    bool registered = syscall(SYS_io_uring_register, ring->file, IORING_REGISTER_RING_FDS, &itself, 1) == 1;
    ring->descriptor = registered ? (int)itself.offset : ring->file;
    ring->enter_flags = IORING_ENTER_GETEVENTS | (registered ? IORING_ENTER_REGISTERED_RING : 0);
    return true;
}

void ring_enter(struct ring *ring, unsigned wait) {
    atomic_store_explicit(ring->submission_tail, ring->prepared, memory_order_release);
    unsigned left = ring->prepared - atomic_load_explicit(ring->submission_head, memory_order_relaxed);
    do {
        // With submissions left over, for which the kernel had no memory, it does not wait.
        long result = syscall(SYS_io_uring_enter, ring->descriptor, left, wait, ring->enter_flags, NULL, 0);
        if (result < 0 && errno != EINTR && errno != EAGAIN && errno != EBUSY) fail_errno("io_uring_enter failed");
        left = ring->prepared - atomic_load_explicit(ring->submission_head, memory_order_acquire);
    } while (left > 0);
}

void ring_flush_overflow(struct ring *ring) {
    long result = syscall(SYS_io_uring_enter, ring->descriptor, 0, 0, ring->enter_flags, NULL, 0);
    if (result < 0 && errno != EINTR && errno != EAGAIN && errno != EBUSY) fail_errno("io_uring_enter failed");
}
