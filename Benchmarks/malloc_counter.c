// Counts the allocations of a process in the first 8 bytes of a shared file, where other processes can read them.
//
//     cc -shared -fPIC -O2 -o malloc_counter.so malloc_counter.c
//     MALLOC_COUNTER_FILE=/tmp/count LD_PRELOAD=./malloc_counter.so some-server
//
// The file contains two 64-bit words in the machine's byte order: the number of calls, and a mark that the counter is
// active; without the mark, a count of zero is meaningless. Calls of forked children are counted too. For glibc only,
// whose real functions have second names; elsewhere the loader rejects the library.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

struct page {
    _Atomic uint64_t calls;
    _Atomic uint64_t mark;
};

static const uint64_t AT_WORK = 0x746E756F63;  // "count"

// Other libraries allocate before the constructor of this one has run.
static struct page early;
static _Atomic(struct page *) page = &early;

static void count(void) {
    // Only the total matters, so no other ordering is needed, but the reader of the pointer needs what it points to.
    struct page *current = atomic_load_explicit(&page, memory_order_acquire);
    atomic_fetch_add_explicit(&current->calls, 1, memory_order_relaxed);
}

static void give_up(const char *sentence) {
    // Not with stdio, which allocates. A server that runs uncounted would appear to have no allocations.
    ssize_t ignored = write(STDERR_FILENO, sentence, strlen(sentence));
    (void)ignored;
    _exit(127);
}

__attribute__((constructor)) static void map_page(void) {
    const char *path = getenv("MALLOC_COUNTER_FILE");
    if (path == NULL) give_up("malloc_counter: MALLOC_COUNTER_FILE names no file\n");
    int descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0 || ftruncate(descriptor, sizeof(struct page)) != 0) {
        give_up("malloc_counter: MALLOC_COUNTER_FILE cannot be opened for writing\n");
    }
    struct page *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    close(descriptor);
    if (shared == MAP_FAILED) give_up("malloc_counter: MALLOC_COUNTER_FILE cannot be mapped\n");
    // Added, not stored, because a child that executes another program continues to count in the same file.
    atomic_fetch_add(&shared->calls, atomic_load(&early.calls));
    atomic_store(&shared->mark, AT_WORK);
    atomic_store_explicit(&page, shared, memory_order_release);
}

void *malloc(size_t size) {
    count();
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count();
    return __libc_calloc(number, size);
}

void *realloc(void *block, size_t size) {
    count();
    return __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
    if (alignment % sizeof(void *) != 0 || alignment == 0 || (alignment & (alignment - 1)) != 0) return EINVAL;
    count();
    // According to the standard, errno and the result are unchanged on failure.
    int before = errno;
    void *allocated = __libc_memalign(alignment, size);
    errno = before;
    if (allocated == NULL) return ENOMEM;
    *block = allocated;
    return 0;
}
