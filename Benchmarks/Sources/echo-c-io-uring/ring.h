// One ring of io_uring(7), used by one thread, without liburing.
#pragma once

#include <linux/io_uring.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct ring {
    // The index that the ring has registered for itself, which saves the kernel a look-up in each call.
    int descriptor;
    int file;
    unsigned enter_flags;

    struct io_uring_sqe *submissions;
    _Atomic unsigned *submission_head;
    _Atomic unsigned *submission_tail;
    _Atomic unsigned *submission_flags;
    unsigned submission_count;
    // The tail that the kernel learns by the next `ring_enter`.
    unsigned prepared;

    struct io_uring_cqe *completions;
    _Atomic unsigned *completion_head;
    _Atomic unsigned *completion_tail;
    unsigned completion_mask;
};

/// Returns false, and sets `errno`, if the system refuses.
bool ring_open(struct ring *ring, unsigned submissions, unsigned completions);

/// Submits everything that was prepared, and waits until there are `wait` completions, all in one call of the kernel,
/// which runs nothing of this ring at any other time. A signal may end the wait early.
void ring_enter(struct ring *ring, unsigned wait);

/// Moves completions for which the ring had no room into the ring.
void ring_flush_overflow(struct ring *ring);

/// Returns a submission to be completed by the caller, of which only these fields are not zero.
static inline struct io_uring_sqe *ring_prepare(struct ring *ring, int operation, int descriptor, uint64_t user_data) {
    unsigned head = atomic_load_explicit(ring->submission_head, memory_order_acquire);
    if (ring->prepared - head == ring->submission_count) ring_enter(ring, 0);
    struct io_uring_sqe *submission = &ring->submissions[ring->prepared++ & (ring->submission_count - 1)];
    memset(submission, 0, sizeof *submission);
    submission->opcode = (uint8_t)operation;
    submission->fd = descriptor;
    submission->user_data = user_data;
    return submission;
}

/// Takes the next completion. Returns false if there is none, neither in the ring nor in its overflow.
static inline bool ring_next(struct ring *ring, struct io_uring_cqe *completion) {
    unsigned head = atomic_load_explicit(ring->completion_head, memory_order_relaxed);
    if (head == atomic_load_explicit(ring->completion_tail, memory_order_acquire)) {
        unsigned flags = atomic_load_explicit(ring->submission_flags, memory_order_relaxed);
        if ((flags & IORING_SQ_CQ_OVERFLOW) == 0) return false;
        ring_flush_overflow(ring);
        if (head == atomic_load_explicit(ring->completion_tail, memory_order_acquire)) return false;
    }
    *completion = ring->completions[head & ring->completion_mask];
    atomic_store_explicit(ring->completion_head, head + 1, memory_order_release);
    return true;
}
