#define _GNU_SOURCE
#include "include/loop_slot.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

// initial-exec: one load relative to the thread pointer, because each entry point of the library reads it.
static __thread void *loop_slot __attribute__((tls_model("initial-exec")));

void *aio_loop_slot_get(void) { return loop_slot; }
void aio_loop_slot_set(void *loop) { loop_slot = loop; }

// The address of a thread-local variable, which needs no system call.
uintptr_t aio_thread_identity(void) { return (uintptr_t)&loop_slot; }

bool aio_is_main_thread(void) {
#if defined(__linux__)
    return getpid() == (pid_t)syscall(SYS_gettid);
#else
    return pthread_main_np() != 0;
#endif
}

void aio_thread_name(char *buffer, size_t size) {
    if (aio_is_main_thread()) {
        snprintf(buffer, size, "main");
        return;
    }
#if defined(__linux__)
    char name[32] = "";
    pthread_getname_np(pthread_self(), name, sizeof name);
    snprintf(buffer, size, "%s-%ld", name, (long)syscall(SYS_gettid));
#else
    pthread_getname_np(pthread_self(), buffer, size);
#endif
}

struct context {
    void *value;
    void (*destroy)(void *);
};

static __thread struct context context;
static pthread_key_t context_key;
static pthread_once_t context_once = PTHREAD_ONCE_INIT;

static void destroy_context(void *unused) {
    (void)unused;
    struct context last = context;
    context.value = NULL;
    if (last.value != NULL) last.destroy(last.value);
}

static void make_context_key(void) { pthread_key_create(&context_key, destroy_context); }

void *aio_thread_context_get(void) { return context.value; }

void aio_thread_context_set(void *value, void (*destroy)(void *)) {
    pthread_once(&context_once, make_context_key);
    context = (struct context){value, destroy};
    // The key only serves for its destructor at thread exit, which is called for values other than NULL.
    pthread_setspecific(context_key, &context);
}

static uint32_t forks;

uint32_t aio_fork_count(void) { return forks; }

// The child has one thread, so no lock is needed.
static void became_child(void) {
    loop_slot = NULL;
    forks++;
}

static void install_fork_handler(void) { pthread_atfork(NULL, NULL, became_child); }

void aio_install_fork_handler(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, install_fork_handler);
}
