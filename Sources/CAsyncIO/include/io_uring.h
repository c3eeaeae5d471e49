// io_uring(7), Linux 6.1 and newer.
//
// The constants and structures of the kernel's interface are declared here, because the system's own header is often
// older than its kernel, and Swift imports neither its macros nor its unions well.
//
// The loop's thread writes submission entries and reads completion entries in memory that it shares with the kernel.
// aio_ring_enter submits, waits, and runs what the kernel has deferred to this thread. No other function here, except
// those that create and free the ring, is a system call.
#ifndef CASYNCIO_IO_URING_H
#define CASYNCIO_IO_URING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// MARK: The kernel's interface

typedef struct {
    uint8_t opcode;
    uint8_t flags;
    uint16_t priority;
    int32_t fd;
    uint64_t offset;
    uint64_t address;
    uint32_t length;
    // The flags of the operation: of send(2), accept4(2), splice(2), poll(2) ...
    uint32_t operation_flags;
    uint64_t user_data;
    uint16_t buffer_group;
    uint16_t personality;
    int32_t other_fd;
    uint64_t padding[2];
} aio_ring_submission;

typedef struct {
    uint64_t user_data;
    int32_t result;
    uint32_t flags;
} aio_ring_completion;

typedef struct {
    uint64_t address;
    uint32_t length;
    uint16_t identifier;
    // The tail of the whole ring in its first entry; not used in the others.
    uint16_t tail;
} aio_ring_buffer;

// Operations.
static const uint8_t AIO_RING_NOP = 0;
static const uint8_t AIO_RING_FSYNC = 3;
static const uint8_t AIO_RING_POLL_ADD = 6;
static const uint8_t AIO_RING_SENDMSG = 9;
static const uint8_t AIO_RING_RECVMSG = 10;
static const uint8_t AIO_RING_ACCEPT = 13;
static const uint8_t AIO_RING_ASYNC_CANCEL = 14;
static const uint8_t AIO_RING_CONNECT = 16;
static const uint8_t AIO_RING_OPENAT = 18;
static const uint8_t AIO_RING_CLOSE = 19;
static const uint8_t AIO_RING_STATX = 21;
static const uint8_t AIO_RING_READ = 22;
static const uint8_t AIO_RING_WRITE = 23;
static const uint8_t AIO_RING_SEND = 26;
static const uint8_t AIO_RING_RECV = 27;
static const uint8_t AIO_RING_SPLICE = 30;
// Linux 6.7.
static const uint8_t AIO_RING_WAITID = 50;

// Flags of a submission.
static const uint8_t AIO_RING_BUFFER_SELECT = 1 << 5;
static const uint8_t AIO_RING_SKIP_SUCCESS = 1 << 6;

// The priority field of receives and accepts.
static const uint16_t AIO_RING_RECEIVE_POLL_FIRST = 1 << 0;
static const uint16_t AIO_RING_RECEIVE_MULTISHOT = 1 << 1;
static const uint16_t AIO_RING_ACCEPT_MULTISHOT = 1 << 0;

// Flags of a completion. The upper 16 bits are the identifier of the buffer.
static const uint32_t AIO_RING_HAS_BUFFER = 1 << 0;
static const uint32_t AIO_RING_HAS_MORE = 1 << 1;
// A socket has more bytes to receive.
static const uint32_t AIO_RING_SOCKET_NONEMPTY = 1 << 2;

// Flags of the cancel operation.
static const uint32_t AIO_RING_CANCEL_ALL = 1 << 0;
static const uint32_t AIO_RING_CANCEL_ANY = 1 << 2;

// Flags of operations. AIO_RING_IMMEDIATE: a send that does not wait, and that is short only if it would have to.
extern const uint32_t AIO_RING_NO_SIGNAL;
extern const uint32_t AIO_RING_IMMEDIATE;
extern const uint32_t AIO_RING_DO_NOT_WAIT;
extern const uint32_t AIO_RING_NEW_DESCRIPTOR;
extern const uint32_t AIO_RING_OPEN_CLOSE_ON_EXEC;
static const uint32_t AIO_RING_DATA_ONLY = 1 << 0;
extern const int32_t AIO_RING_CURRENT_DIRECTORY;
// The `struct msghdr` of a multishot receive of messages: room for any address.
extern const void *const _Nonnull AIO_RING_MESSAGE_HEADER;

// Features that aio_ring_open reports.
static const uint32_t AIO_RING_FEATURE_SINGLE_MMAP = 1 << 0;
static const uint32_t AIO_RING_FEATURE_NODROP = 1 << 1;
static const uint32_t AIO_RING_FEATURE_SUBMIT_STABLE = 1 << 2;
static const uint32_t AIO_RING_FEATURE_FAST_POLL = 1 << 5;
static const uint32_t AIO_RING_FEATURE_EXT_ARG = 1 << 8;
static const uint32_t AIO_RING_FEATURE_CQE_SKIP = 1 << 11;

// Flags that the kernel sets in the submission ring.
static const uint32_t AIO_RING_CQ_OVERFLOW = 1 << 1;
static const uint32_t AIO_RING_TASKRUN = 1 << 2;

// MARK: The ring

typedef struct aio_ring aio_ring;

struct aio_ring {
    int fd;
    uint32_t features;

    // What has been written and not submitted begins at `sq_submitted`, and ends at `sq_tail`.
    uint32_t sq_tail;
    uint32_t sq_submitted;
    uint32_t sq_entries;
    uint32_t cq_entries;
    uint32_t cq_head;
    // The number by which this thread enters the ring: a registered one saves looking up the descriptor.
    int enter_fd;
    uint32_t enter_flags;

    uint32_t *_Nullable kernel_sq_head;
    uint32_t *_Nullable kernel_sq_tail;
    uint32_t *_Nullable kernel_sq_flags;
    uint32_t *_Nullable kernel_cq_head;
    uint32_t *_Nullable kernel_cq_tail;
    aio_ring_submission *_Nullable submissions;
    aio_ring_completion *_Nullable completions;

    void *_Nullable memory;
    size_t memory_size;

    // For tests: takes the part of the kernel in aio_ring_enter. No other function here makes a system call then.
    int (*_Nullable simulate)(aio_ring *_Nonnull ring, uint32_t count, int64_t nanoseconds);
    void *_Nullable simulator;
};

// Creates a ring with at least these numbers of entries. It is disabled: its first user is the thread that enables it.
// Returns 0 or -errno.
int aio_ring_open(aio_ring *_Nonnull ring, uint32_t submissions, uint32_t completions);
// For tests: creates a ring whose kernel is `simulate`, which moves the four indices. Returns 0 or -errno.
int aio_ring_open_simulated(
    aio_ring *_Nonnull ring, uint32_t submissions, uint32_t completions,
    int (*_Nonnull simulate)(aio_ring *_Nonnull ring, uint32_t count, int64_t nanoseconds),
    void *_Nullable simulator);
// For tests: returns the ring of buffers of a simulated ring's group, or NULL.
aio_ring_buffer *_Nullable aio_ring_simulated_buffers(const aio_ring *_Nonnull ring, uint32_t group);
// Makes the calling thread the only one that may use the ring. Returns 0 or -errno.
int aio_ring_enable(aio_ring *_Nonnull ring);
// Frees the ring; the kernel then cancels its operations. Only the thread that enabled the ring frees its registered
// number. Idempotent.
void aio_ring_close(aio_ring *_Nonnull ring);
// Frees what a forked child has of its parent's ring: the descriptor.
void aio_ring_close_inherited(aio_ring *_Nonnull ring);

// Submits all entries, and waits for `count` completions, at most `nanoseconds` (negative: without a limit). Returns
// the number of entries that the kernel has taken, or -errno: -EINTR for a signal, -ETIME after the time.
int aio_ring_enter(aio_ring *_Nonnull ring, uint32_t count, int64_t nanoseconds);

// Submits all entries, and runs nothing else. Returns the number of entries that the kernel has taken, or -errno.
int aio_ring_submit(aio_ring *_Nonnull ring);

// Writes 1 to `supported` at the number of each operation that the kernel has. Returns 0 or -errno.
int aio_ring_probe(const aio_ring *_Nonnull ring, uint8_t *_Nonnull supported, uint32_t count);

// Registers a ring of `entries` (a power of two) buffers as the group `group`, and returns it in `buffers`. Returns 0
// or -errno.
int aio_ring_buffers_open(
    const aio_ring *_Nonnull ring, uint16_t group, uint32_t entries, aio_ring_buffer *_Nullable *_Nonnull buffers);
// Frees the memory of a ring of buffers, after the ring has been closed.
void aio_ring_buffers_close(aio_ring_buffer *_Nonnull buffers, uint32_t entries);

// The type of a process descriptor for waitid(2), and the option for children that have ended.
extern const uint32_t AIO_RING_WAIT_PROCESS;
extern const int32_t AIO_RING_WAIT_EXITED;

// Copies a `struct statx` of the given memory to a `struct stat`.
void aio_ring_copy_status(const void *_Nonnull statx, void *_Nonnull status);
extern const size_t AIO_RING_STATX_SIZE;
extern const uint32_t AIO_RING_STATX_MASK;

// MARK: Submission and completion entries

// Adds a submission entry. Returns false if the ring is full.
static inline bool aio_ring_push(aio_ring *_Nonnull ring, const aio_ring_submission *_Nonnull entry) {
    if (ring->sq_tail - __atomic_load_n(ring->kernel_sq_head, __ATOMIC_ACQUIRE) >= ring->sq_entries) return false;
    ring->submissions[ring->sq_tail & (ring->sq_entries - 1)] = *entry;
    ring->sq_tail += 1;
    return true;
}

// Removes the last submission entry, which the kernel has not taken.
static inline void aio_ring_retract(aio_ring *_Nonnull ring) {
    ring->sq_tail -= 1;
    __atomic_store_n(ring->kernel_sq_tail, ring->sq_tail, __ATOMIC_RELEASE);
}

// The number of entries that wait to be submitted.
static inline uint32_t aio_ring_unsubmitted(const aio_ring *_Nonnull ring) { return ring->sq_tail - ring->sq_submitted; }

// The entry that is `index` behind the first one that waits to be submitted.
static inline aio_ring_submission *_Nullable aio_ring_unsubmitted_at(const aio_ring *_Nonnull ring, uint32_t index) {
    return &ring->submissions[(ring->sq_submitted + index) & (ring->sq_entries - 1)];
}

static inline uint32_t aio_ring_flags(const aio_ring *_Nonnull ring) {
    return __atomic_load_n(ring->kernel_sq_flags, __ATOMIC_RELAXED);
}

// The number of completion entries that were not read.
static inline uint32_t aio_ring_ready(const aio_ring *_Nonnull ring) {
    return __atomic_load_n(ring->kernel_cq_tail, __ATOMIC_ACQUIRE) - ring->cq_head;
}

static inline const aio_ring_completion *_Nonnull aio_ring_at(const aio_ring *_Nonnull ring, uint32_t index) {
    return &ring->completions[(ring->cq_head + index) & (ring->cq_entries - 1)];
}

// Returns `count` completion entries to the kernel.
static inline void aio_ring_advance(aio_ring *_Nonnull ring, uint32_t count) {
    ring->cq_head += count;
    __atomic_store_n(ring->kernel_cq_head, ring->cq_head, __ATOMIC_RELEASE);
}

// Writes the entry `position` of a ring of buffers. The kernel does not see it before aio_ring_buffers_publish.
static inline void aio_ring_buffers_set(
    aio_ring_buffer *_Nonnull buffers, uint32_t mask, uint16_t position, void *_Nonnull memory, uint32_t length,
    uint16_t identifier) {
    aio_ring_buffer *entry = &buffers[position & mask];
    entry->address = (uint64_t)(uintptr_t)memory;
    entry->length = length;
    entry->identifier = identifier;
}

static inline void aio_ring_buffers_publish(aio_ring_buffer *_Nonnull buffers, uint16_t tail) {
    __atomic_store_n(&buffers->tail, tail, __ATOMIC_RELEASE);
}

#endif
