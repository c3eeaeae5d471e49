#define _GNU_SOURCE
#include "include/signals.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "disposition.h"

// The pending signals are counted here; the descriptors only wake loops. So a full descriptor loses no signal.
static _Atomic uint64_t counts[AIO_SIGNAL_LIMIT];

// A list that only grows, because a trampoline may be reading it. Its length is the largest number of loops that have
// caught signals at the same time.
struct aio_signal_waker {
    // The descriptor + 1; zero if the entry is free.
    _Atomic int descriptor;
    struct aio_signal_waker *next;
};

static struct aio_signal_waker *_Atomic wakers;
static _Atomic int running_trampolines;
static _Atomic pid_t owner;
static struct aio_disposition former[AIO_SIGNAL_LIMIT];

static void trampoline(int signal) {
    // A forked child inherits the handler and the descriptors of its parent until it calls exec.
    if (getpid() != atomic_load(&owner)) return;
    int saved = errno;
    atomic_fetch_add(&running_trampolines, 1);
    atomic_fetch_add(&counts[signal], 1);
    for (struct aio_signal_waker *waker = atomic_load(&wakers); waker; waker = waker->next) {
        int fd = atomic_load(&waker->descriptor) - 1;
        if (fd >= 0) {
            uint64_t one = 1;
            // EAGAIN means that a wake-up is pending already.
            while (write(fd, &one, sizeof one) < 0 && errno == EINTR) {}
        }
    }
    atomic_fetch_sub(&running_trampolines, 1);
    errno = saved;
}

uint64_t aio_signal_count(int signal) {
    return signal > 0 && signal < AIO_SIGNAL_LIMIT ? atomic_load(&counts[signal]) : 0;
}

int aio_signal_catch(int signal) {
    if (signal <= 0 || signal >= AIO_SIGNAL_LIMIT) return -EINVAL;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = trampoline;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    struct aio_disposition found;
    int result = aio_disposition_exchange(signal, &action, &found);
    // A forked child inherits the trampoline, and `former` is valid in it.
    if (result == 0 && found.action.sa_handler != trampoline) former[signal] = found;
    return result;
}

int aio_signal_restore(int signal) {
    if (signal <= 0 || signal >= AIO_SIGNAL_LIMIT) return -EINVAL;
    struct sigaction found;
    if (sigaction(signal, NULL, &found) < 0) return -errno;
    // Other code has installed a handler since, which stays.
    if (found.sa_handler != trampoline) return 0;
    return aio_disposition_restore(signal, &former[signal]);
}

void aio_signal_replace_former(int signal, void (*handler)(int), const struct aio_disposition *by) {
    if (former[signal].action.sa_handler == handler) former[signal] = *by;
}

bool aio_signals_claim(void) {
    pid_t former_owner = atomic_load(&owner);
    if (former_owner == getpid()) return false;
    for (struct aio_signal_waker *waker = atomic_load(&wakers); waker; waker = waker->next) {
        atomic_store(&waker->descriptor, 0);
    }
    atomic_store(&running_trampolines, 0);
    atomic_store(&owner, getpid());
    return former_owner != 0;
}

struct aio_signal_waker *aio_signal_waker_add(int fd) {
    for (struct aio_signal_waker *waker = atomic_load(&wakers); waker; waker = waker->next) {
        int expected = 0;
        if (atomic_compare_exchange_strong(&waker->descriptor, &expected, fd + 1)) return waker;
    }
    struct aio_signal_waker *added = malloc(sizeof *added);
    if (!added) return NULL;
    atomic_init(&added->descriptor, fd + 1);
    added->next = atomic_load(&wakers);
    while (!atomic_compare_exchange_weak(&wakers, &added->next, added)) {}
    return added;
}

void aio_signal_waker_remove(struct aio_signal_waker *waker) {
    atomic_store(&waker->descriptor, 0);
    // A trampoline on another thread may have read the descriptor before. It returns after a few writes.
    while (atomic_load(&running_trampolines) > 0) sched_yield();
}

void aio_write_error(const void *bytes, size_t count) {
    sigset_t pipe_signal, former_mask, pending;
    sigemptyset(&pipe_signal);
    sigaddset(&pipe_signal, SIGPIPE);
    sigpending(&pending);
    // A SIGPIPE that is pending already has another cause, and is not consumed here.
    int was_pending = sigismember(&pending, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_signal, &former_mask);
    const char *rest = bytes;
    while (count > 0) {
        ssize_t written = write(STDERR_FILENO, rest, count);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) break;
        rest += written;
        count -= (size_t)written;
    }
    sigpending(&pending);
    // SIGPIPE is directed to the thread that wrote to the broken pipe. It is consumed here, while it is blocked.
    if (!was_pending && sigismember(&pending, SIGPIPE)) {
        int taken;
        sigwait(&pipe_signal, &taken);
    }
    pthread_sigmask(SIG_SETMASK, &former_mask, NULL);
}
