#if defined(__linux__)
#define _GNU_SOURCE
#include "include/io_uring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if !defined(SYS_io_uring_setup)
#define SYS_io_uring_setup 425
#define SYS_io_uring_enter 426
#define SYS_io_uring_register 427
#endif

enum {
    SETUP_CQSIZE = 1 << 3,
    SETUP_CLAMP = 1 << 4,
    SETUP_R_DISABLED = 1 << 6,
    SETUP_SUBMIT_ALL = 1 << 7,
    SETUP_TASKRUN_FLAG = 1 << 9,
    SETUP_SINGLE_ISSUER = 1 << 12,
    SETUP_DEFER_TASKRUN = 1 << 13,
    // Linux 6.6. Saves an indirection.
    SETUP_NO_SQARRAY = 1 << 16,

    ENTER_GETEVENTS = 1 << 0,
    ENTER_EXT_ARG = 1 << 3,
    ENTER_REGISTERED_RING = 1 << 4,

    REGISTER_PROBE = 8,
    REGISTER_ENABLE_RINGS = 12,
    REGISTER_RING_FDS = 20,
    UNREGISTER_RING_FDS = 21,
    REGISTER_PBUF_RING = 22,
};

static const uint64_t OFFSET_SQES = 0x10000000;

struct offsets {
    uint32_t head, tail, ring_mask, ring_entries;
    // Of the submission ring: flags, dropped, array. Of the completion ring: overflow, cqes, flags.
    uint32_t a, b, c;
    uint32_t reserved1;
    uint64_t reserved2;
};

struct parameters {
    uint32_t sq_entries, cq_entries, flags, sq_thread_cpu, sq_thread_idle, features, wq_fd, reserved[3];
    struct offsets sq, cq;
};

struct buffers_registration {
    uint64_t address;
    uint32_t entries;
    uint16_t group;
    uint16_t flags;
    uint64_t reserved[3];
};

struct ring_number {
    uint32_t offset;
    uint32_t reserved;
    uint64_t data;
};

struct wait_argument {
    uint64_t signal_mask;
    uint32_t signal_mask_size;
    uint32_t padding;
    uint64_t time;
};

struct kernel_time {
    int64_t seconds;
    int64_t nanoseconds;
};

struct probe_operation {
    uint8_t number;
    uint8_t reserved;
    uint16_t flags;
    uint32_t reserved2;
};

struct probe {
    uint8_t last;
    uint8_t count;
    uint16_t reserved;
    uint32_t reserved2[3];
    struct probe_operation operations[256];
};

_Static_assert(sizeof(aio_ring_submission) == 64, "a submission entry");
_Static_assert(sizeof(aio_ring_completion) == 16, "a completion entry");
_Static_assert(sizeof(aio_ring_buffer) == 16, "a provided buffer");
_Static_assert(sizeof(struct parameters) == 120, "the parameters of a ring");
_Static_assert(sizeof(struct buffers_registration) == 40, "the registration of buffers");

static int result(long value) { return value < 0 ? -errno : (int)value; }

static int ring_register(int fd, unsigned operation, void *argument, unsigned count) {
    return result(syscall(SYS_io_uring_register, fd, operation, argument, count));
}

static int setup(uint32_t entries, struct parameters *parameters, uint32_t completions, uint32_t flags) {
    // Newer kernels count a ring towards RLIMIT_MEMLOCK until some 30 ms after it was closed.
    struct timespec pause = {.tv_nsec = 5000000};
    for (int attempts = 40;; attempts--) {
        *parameters = (struct parameters){.flags = flags, .cq_entries = completions};
        // The kernel opens the ring close-on-exec.
        int fd = result(syscall(SYS_io_uring_setup, entries, parameters));
        if (fd != -ENOMEM || attempts == 1) return fd;
        nanosleep(&pause, NULL);
    }
}

int aio_ring_open(aio_ring *ring, uint32_t submissions, uint32_t completions) {
    *ring = (aio_ring){.fd = -1, .enter_fd = -1};
    uint32_t flags = SETUP_CQSIZE | SETUP_CLAMP | SETUP_R_DISABLED | SETUP_SUBMIT_ALL | SETUP_TASKRUN_FLAG
        | SETUP_SINGLE_ISSUER | SETUP_DEFER_TASKRUN;
    struct parameters parameters;
    bool has_array = false;
    int fd = setup(submissions, &parameters, completions, flags | SETUP_NO_SQARRAY);
    if (fd == -EINVAL) {
        has_array = true;
        fd = setup(submissions, &parameters, completions, flags);
    }
    if (fd < 0) return fd;
    ring->fd = ring->enter_fd = fd;
    ring->features = parameters.features;
    if (!(parameters.features & AIO_RING_FEATURE_SINGLE_MMAP)) {
        aio_ring_close(ring);
        return -EINVAL;
    }

    size_t submission_ring = parameters.sq.c + (has_array ? parameters.sq_entries * sizeof(uint32_t) : 0);
    size_t completion_ring = parameters.cq.b + parameters.cq_entries * sizeof(aio_ring_completion);
    size_t size = submission_ring > completion_ring ? submission_ring : completion_ring;
    size_t entries_size = parameters.sq_entries * sizeof(aio_ring_submission);
    int protection = PROT_READ | PROT_WRITE;
    void *memory = mmap(NULL, size, protection, MAP_SHARED | MAP_POPULATE, fd, 0);
    void *entries = memory == MAP_FAILED
        ? MAP_FAILED
        : mmap(NULL, entries_size, protection, MAP_SHARED | MAP_POPULATE, fd, (off_t)OFFSET_SQES);
    if (entries == MAP_FAILED) {
        int error = -errno;
        if (memory != MAP_FAILED) munmap(memory, size);
        aio_ring_close(ring);
        return error;
    }
    // A forked child must not write to the ring of its parent by accident.
    madvise(memory, size, MADV_DONTFORK);
    madvise(entries, entries_size, MADV_DONTFORK);

    char *base = memory;
    ring->memory = memory;
    ring->memory_size = size;
    ring->sq_entries = parameters.sq_entries;
    ring->cq_entries = parameters.cq_entries;
    ring->kernel_sq_head = (uint32_t *)(base + parameters.sq.head);
    ring->kernel_sq_tail = (uint32_t *)(base + parameters.sq.tail);
    ring->kernel_sq_flags = (uint32_t *)(base + parameters.sq.a);
    ring->kernel_cq_head = (uint32_t *)(base + parameters.cq.head);
    ring->kernel_cq_tail = (uint32_t *)(base + parameters.cq.tail);
    ring->completions = (aio_ring_completion *)(base + parameters.cq.b);
    ring->submissions = entries;
    if (has_array) {
        uint32_t *array = (uint32_t *)(base + parameters.sq.c);
        for (uint32_t index = 0; index < ring->sq_entries; index++) array[index] = index;
    }
    return 0;
}

struct simulated {
    uint32_t sq_head, sq_tail, sq_flags, cq_head, cq_tail;
    aio_ring_buffer *buffers[3];
};

int aio_ring_open_simulated(
    aio_ring *ring, uint32_t submissions, uint32_t completions, int (*simulate)(aio_ring *, uint32_t, int64_t),
    void *simulator) {
    struct simulated *indices = calloc(1, sizeof *indices);
    *ring = (aio_ring){
        .fd = -1, .enter_fd = -1, .features = UINT32_MAX, .sq_entries = submissions, .cq_entries = completions,
        .kernel_sq_head = &indices->sq_head, .kernel_sq_tail = &indices->sq_tail,
        .kernel_sq_flags = &indices->sq_flags, .kernel_cq_head = &indices->cq_head,
        .kernel_cq_tail = &indices->cq_tail, .submissions = calloc(submissions, sizeof(aio_ring_submission)),
        .completions = calloc(completions, sizeof(aio_ring_completion)), .memory = indices, .simulate = simulate,
        .simulator = simulator};
    return 0;
}

aio_ring_buffer *aio_ring_simulated_buffers(const aio_ring *ring, uint32_t group) {
    return ring->memory ? ((struct simulated *)ring->memory)->buffers[group] : NULL;
}

static void close_simulated(aio_ring *ring) {
    free(ring->submissions);
    free(ring->completions);
    free(ring->memory);
    *ring = (aio_ring){.fd = -1, .enter_fd = -1};
}

int aio_ring_enable(aio_ring *ring) {
    if (ring->simulate) return 0;
    int enabled = ring_register(ring->fd, REGISTER_ENABLE_RINGS, NULL, 0);
    if (enabled < 0) return enabled;
    // Fails if the thread has registered sixteen rings already. The descriptor itself works too.
    struct ring_number number = {.offset = UINT32_MAX, .data = (uint64_t)ring->fd};
    if (ring_register(ring->fd, REGISTER_RING_FDS, &number, 1) == 1) {
        ring->enter_fd = (int)number.offset;
        ring->enter_flags = ENTER_REGISTERED_RING;
    }
    return 0;
}

void aio_ring_close(aio_ring *ring) {
    if (ring->simulate) return close_simulated(ring);
    if (ring->fd < 0) return;
    if (ring->enter_flags) {
        // Otherwise the thread would hold the ring until it ends.
        struct ring_number number = {.offset = (uint32_t)ring->enter_fd};
        ring_register(ring->fd, UNREGISTER_RING_FDS, &number, 1);
    }
    if (ring->memory) munmap(ring->memory, ring->memory_size);
    if (ring->submissions) munmap(ring->submissions, ring->sq_entries * sizeof(aio_ring_submission));
    close(ring->fd);
    *ring = (aio_ring){.fd = -1, .enter_fd = -1};
}

void aio_ring_close_inherited(aio_ring *ring) {
    if (ring->simulate) return close_simulated(ring);
    if (ring->fd >= 0) close(ring->fd);
    *ring = (aio_ring){.fd = -1, .enter_fd = -1};
}

int aio_ring_enter(aio_ring *ring, uint32_t count, int64_t nanoseconds) {
    uint32_t unsubmitted = aio_ring_unsubmitted(ring);
    __atomic_store_n(ring->kernel_sq_tail, ring->sq_tail, __ATOMIC_RELEASE);
    uint32_t flags = ENTER_GETEVENTS | ring->enter_flags;
    long taken;
    if (ring->simulate) {
        taken = ring->simulate(ring, count, nanoseconds);
        if (taken < 0) return (int)taken;
    } else if (count > 0 && nanoseconds >= 0) {
        struct kernel_time time = {.seconds = nanoseconds / 1000000000, .nanoseconds = nanoseconds % 1000000000};
        struct wait_argument argument = {.signal_mask_size = 8, .time = (uint64_t)(uintptr_t)&time};
        taken = syscall(
            SYS_io_uring_enter, ring->enter_fd, unsubmitted, count, flags | ENTER_EXT_ARG, &argument, sizeof argument);
    } else {
        taken = syscall(SYS_io_uring_enter, ring->enter_fd, unsubmitted, count, flags, NULL, (size_t)0);
    }
    if (taken < 0) return -errno;
    ring->sq_submitted += (uint32_t)taken;
    return (int)taken;
}

int aio_ring_submit(aio_ring *ring) {
    uint32_t unsubmitted = aio_ring_unsubmitted(ring);
    __atomic_store_n(ring->kernel_sq_tail, ring->sq_tail, __ATOMIC_RELEASE);
    long taken = ring->simulate
        ? ring->simulate(ring, 0, 0)
        : syscall(SYS_io_uring_enter, ring->enter_fd, unsubmitted, 0, ring->enter_flags, NULL, (size_t)0);
    if (taken < 0) return ring->simulate ? (int)taken : -errno;
    ring->sq_submitted += (uint32_t)taken;
    return (int)taken;
}

int aio_ring_probe(const aio_ring *ring, uint8_t *supported, uint32_t count) {
    if (ring->simulate) return memset(supported, 1, count), 0;
    struct probe probe = {0};
    int probed = ring_register(ring->fd, REGISTER_PROBE, &probe, 256);
    if (probed < 0) return probed;
    for (uint32_t index = 0; index < probe.count && index < 256; index++) {
        struct probe_operation operation = probe.operations[index];
        if (operation.number < count) supported[operation.number] = operation.flags & 1;
    }
    return 0;
}

int aio_ring_buffers_open(
    const aio_ring *ring, uint16_t group, uint32_t entries, aio_ring_buffer **buffers) {
    size_t size = entries * sizeof(aio_ring_buffer);
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE, -1, 0);
    if (memory == MAP_FAILED) return -errno;
    // The kernel writes to these pages, so a forked child must not get a copy in their place.
    madvise(memory, size, MADV_DONTFORK);
    if (ring->simulate) {
        ((struct simulated *)ring->memory)->buffers[group] = memory;
        return *buffers = memory, 0;
    }
    struct buffers_registration registration = {
        .address = (uint64_t)(uintptr_t)memory, .entries = entries, .group = group};
    int registered = ring_register(ring->fd, REGISTER_PBUF_RING, &registration, 1);
    if (registered < 0) {
        munmap(memory, size);
        return registered;
    }
    *buffers = memory;
    return 0;
}

void aio_ring_buffers_close(aio_ring_buffer *buffers, uint32_t entries) {
    munmap(buffers, entries * sizeof(aio_ring_buffer));
}

const uint32_t AIO_RING_NO_SIGNAL = MSG_NOSIGNAL;
const uint32_t AIO_RING_IMMEDIATE = MSG_DONTWAIT | MSG_WAITALL;
const uint32_t AIO_RING_DO_NOT_WAIT = MSG_DONTWAIT;
const uint32_t AIO_RING_NEW_DESCRIPTOR = SOCK_NONBLOCK | SOCK_CLOEXEC;
const uint32_t AIO_RING_OPEN_CLOSE_ON_EXEC = O_CLOEXEC;
const int32_t AIO_RING_CURRENT_DIRECTORY = AT_FDCWD;
static const struct msghdr message_header = {.msg_namelen = sizeof(struct sockaddr_storage)};
const void *const AIO_RING_MESSAGE_HEADER = &message_header;
// P_PIDFD, which older headers lack.
const uint32_t AIO_RING_WAIT_PROCESS = 3;
const int32_t AIO_RING_WAIT_EXITED = WEXITED;

const size_t AIO_RING_STATX_SIZE = sizeof(struct statx);
const uint32_t AIO_RING_STATX_MASK = STATX_BASIC_STATS;

static struct timespec time_of(struct statx_timestamp time) {
    return (struct timespec){.tv_sec = time.tv_sec, .tv_nsec = time.tv_nsec};
}

void aio_ring_copy_status(const void *memory, void *destination) {
    const struct statx *source = memory;
    struct stat *status = destination;
    memset(status, 0, sizeof *status);
    status->st_dev = makedev(source->stx_dev_major, source->stx_dev_minor);
    status->st_ino = source->stx_ino;
    status->st_nlink = source->stx_nlink;
    status->st_mode = source->stx_mode;
    status->st_uid = source->stx_uid;
    status->st_gid = source->stx_gid;
    status->st_rdev = makedev(source->stx_rdev_major, source->stx_rdev_minor);
    status->st_size = (off_t)source->stx_size;
    status->st_blksize = source->stx_blksize;
    status->st_blocks = (blkcnt_t)source->stx_blocks;
    status->st_atim = time_of(source->stx_atime);
    status->st_mtim = time_of(source->stx_mtime);
    status->st_ctim = time_of(source->stx_ctime);
}
#endif
