#define _GNU_SOURCE
#include "include/terminals.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "disposition.h"

static int result(int value) { return value < 0 ? -errno : value; }

int aio_open_pseudo_terminal(int descriptors[2]) {
    int controller = posix_openpt(O_RDWR | O_NOCTTY);
    if (controller < 0) return -errno;
    fcntl(controller, F_SETFD, FD_CLOEXEC);
    char name[128];
    int terminal = -1, error = 0;
    if (grantpt(controller) < 0 || unlockpt(controller) < 0) {
        error = errno;
    } else if ((error = ptsname_r(controller, name, sizeof name)) == 0) {
        terminal = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
        error = terminal < 0 ? errno : 0;
    }
    if (error != 0) {
        close(controller);
        return -error;
    }
    descriptors[0] = controller;
    descriptors[1] = terminal;
    return 0;
}

bool aio_is_terminal(int fd) {
    struct termios modes;
    return tcgetattr(fd, &modes) == 0;
}

int aio_window_size(int fd, int *columns, int *rows) {
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) < 0) return -errno;
    *columns = size.ws_col;
    *rows = size.ws_row;
    return 0;
}

int aio_set_window_size(int fd, int columns, int rows) {
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) < 0) return -errno;
    size.ws_col = (unsigned short)columns;
    size.ws_row = (unsigned short)rows;
    return result(ioctl(fd, TIOCSWINSZ, &size));
}

// The terminals in raw mode. A signal handler reads them without the lock: it sees an entry once its id is set.
enum { MOST_TERMINALS = 16 };
static struct {
    // Zero if the entry is free. A later entry has a higher number.
    _Atomic uint64_t id;
    // A duplicate, which the program cannot close.
    int fd;
    struct termios former;
} entries[MOST_TERMINALS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t last_id;
static int entry_count;
static _Atomic pid_t owner;

// The signals whose default action ends the process, from outside or by a fault of the program.
static const int fatal_signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGILL, SIGTRAP, SIGABRT, SIGBUS, SIGFPE, SIGSEGV};
enum { SIGNAL_COUNT = sizeof fatal_signals / sizeof *fatal_signals };
static struct aio_disposition former_dispositions[SIGNAL_COUNT];

// Not in the background, where the terminal belongs to another program, and where the call would stop this process.
static void restore(int fd, const struct termios *former) {
    pid_t foreground = tcgetpgrp(fd);
    if (foreground < 0 || foreground == getpgrp()) tcsetattr(fd, TCSANOW, former);
}

void aio_raw_modes_restore(void) {
    // A forked child has a copy of the entries, and not the right to end the mode of its parent.
    if (atomic_load(&owner) != getpid()) return;
    int saved = errno;
    // The newest first, because it may have found the raw mode of an older one.
    uint64_t limit = UINT64_MAX;
    while (true) {
        int newest = -1;
        uint64_t id = 0;
        for (int i = 0; i < MOST_TERMINALS; i++) {
            uint64_t candidate = atomic_load(&entries[i].id);
            if (candidate > id && candidate < limit) {
                id = candidate;
                newest = i;
            }
        }
        if (newest < 0) break;
        restore(entries[newest].fd, &entries[newest].former);
        limit = id;
    }
    errno = saved;
}

static void end_by_signal(int signal) {
    aio_raw_modes_restore();
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, NULL);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(signal);
    // A signal without a handler does not end the first process of a container (PID 1).
    _exit(128 + signal);
}

bool aio_is_raw_mode_handler(void (*handler)(int)) { return handler == end_by_signal; }

static void catch_signals(void) {
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        struct sigaction found, action;
        // A handler of the program, or of a loop, ends the process by exit(3), or does not end it.
        if (sigaction(fatal_signals[i], NULL, &found) < 0 || (found.sa_flags & SA_SIGINFO) != 0 ||
            found.sa_handler != SIG_DFL) {
            continue;
        }
        memset(&action, 0, sizeof action);
        action.sa_handler = end_by_signal;
        sigfillset(&action.sa_mask);
        aio_disposition_exchange(fatal_signals[i], &action, &former_dispositions[i]);
    }
}

static void release_signals(void) {
    for (int i = 0; i < SIGNAL_COUNT; i++) {
        struct sigaction found;
        if (sigaction(fatal_signals[i], NULL, &found) < 0 || found.sa_handler != end_by_signal) continue;
        aio_disposition_restore(fatal_signals[i], &former_dispositions[i]);
    }
}

// In a forked child, the entries are those of its parent.
static void claim(void) {
    if (atomic_load(&owner) == getpid()) return;
    if (owner == 0) atexit(aio_raw_modes_restore);
    for (int i = 0; i < MOST_TERMINALS; i++) {
        if (atomic_exchange(&entries[i].id, 0) != 0) close(entries[i].fd);
    }
    entry_count = 0;
    atomic_store(&owner, getpid());
}

int aio_raw_mode_enter(int fd, uint64_t *id) {
    struct termios former, raw;
    if (tcgetattr(fd, &former) < 0) return -errno;
    int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (own < 0) return -errno;
    raw = former;
    cfmakeraw(&raw);

    pthread_mutex_lock(&lock);
    claim();
    int error = EMFILE;
    for (int i = 0; i < MOST_TERMINALS; i++) {
        if (atomic_load(&entries[i].id) != 0) continue;
        entries[i].fd = own;
        entries[i].former = former;
        atomic_store(&entries[i].id, ++last_id);
        if (entry_count++ == 0) catch_signals();
        error = tcsetattr(fd, TCSANOW, &raw) < 0 ? errno : 0;
        *id = last_id;
        break;
    }
    pthread_mutex_unlock(&lock);
    if (error == EMFILE) close(own);
    else if (error != 0) aio_raw_mode_leave(*id);
    return -error;
}

int aio_raw_mode_leave(uint64_t id) {
    int value = 0;
    pthread_mutex_lock(&lock);
    for (int i = 0; i < MOST_TERMINALS && id != 0 && atomic_load(&owner) == getpid(); i++) {
        if (atomic_load(&entries[i].id) != id) continue;
        restore(entries[i].fd, &entries[i].former);
        atomic_store(&entries[i].id, 0);
        value = result(close(entries[i].fd));
        if (--entry_count == 0) release_signals();
    }
    pthread_mutex_unlock(&lock);
    return value;
}
