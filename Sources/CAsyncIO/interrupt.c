#define _GNU_SOURCE
#include "include/interrupt.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "disposition.h"
#include "include/terminals.h"

// The process that runs a loop on its main thread; zero between two runs.
static _Atomic pid_t owner;
static _Atomic int descriptor;
static _Atomic int count;
static _Atomic int running_handlers;
// The disposition of SIGINT before the run.
static struct aio_disposition former;

// Async-signal-safe.
static _Noreturn void end_process(void) {
    aio_raw_modes_restore();
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(SIGINT, &action, NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(SIGINT);
    // A signal without a handler does not end the first process of a container (PID 1).
    _exit(128 + SIGINT);
}

static void interrupted(int signal) {
    (void)signal;
    int saved = errno;
    atomic_fetch_add(&running_handlers, 1);
    // In a forked child before its exec, and after the run, the default action applies.
    if (atomic_load(&owner) != getpid() || atomic_fetch_add(&count, 1) > 0) end_process();
    uint64_t one = 1;
    while (write(atomic_load(&descriptor), &one, sizeof one) < 0 && errno == EINTR) {}
    atomic_fetch_sub(&running_handlers, 1);
    errno = saved;
}

int aio_interrupt_catch(int fd) {
    struct sigaction found;
    if (sigaction(SIGINT, NULL, &found) < 0) return -errno;
    if ((found.sa_flags & SA_SIGINFO) != 0) return 0;
    // A child that was forked during a run inherits this handler, and `former` is valid in it.
    bool is_inherited = found.sa_handler == interrupted && atomic_load(&owner) != getpid();
    bool is_default = found.sa_handler == SIG_DFL || aio_is_raw_mode_handler(found.sa_handler);
    if (!is_default && !is_inherited) return 0;

    atomic_store(&descriptor, fd);
    atomic_store(&count, 0);
    if (is_inherited) atomic_store(&running_handlers, 0);
    atomic_store(&owner, getpid());
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = interrupted;
    action.sa_flags = SA_RESTART;
    sigfillset(&action.sa_mask);
    struct aio_disposition replaced;
    int result = aio_disposition_exchange(SIGINT, &action, &replaced);
    if (result < 0) {
        atomic_store(&owner, 0);
        return result;
    }
    if (!is_inherited) former = replaced;
    return 1;
}

int aio_interrupt_count(void) { return atomic_load(&count); }

int aio_interrupt_release(void) {
    struct sigaction found;
    if (sigaction(SIGINT, NULL, &found) == 0 && found.sa_handler == interrupted) {
        aio_disposition_restore(SIGINT, &former);
    }
    // A loop that has replaced this handler must not restore it later.
    aio_signal_replace_former(SIGINT, interrupted, &former);
    atomic_store(&owner, 0);
    // A handler on another thread may have read the owner before. It returns after one write.
    while (atomic_load(&running_handlers) > 0) sched_yield();
    return atomic_load(&count);
}

void aio_end_by_interrupt(void) {
    // Flushes what print() has buffered. Other streams are not flushed, as after a signal: fflush(NULL) would wait for
    // the lock of each, and a thread that reads from one, such as standard input, holds its lock.
    if (ftrylockfile(stdout) == 0) {
        fflush(stdout);
        funlockfile(stdout);
    }
    end_process();
}

void aio_exit_failure(void) { exit(EXIT_FAILURE); }
