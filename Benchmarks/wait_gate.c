// Makes a server's waits the same in every run: once it is armed, a wait that finds nothing sleeps until the load
// client has sent a whole round of messages. The number of messages per wait is then independent of the scheduler.
//
//     cc -shared -fPIC -O2 -o wait_gate.so wait_gate.c
//     WAIT_GATE=/tmp/folder LD_PRELOAD=./wait_gate.so valgrind --tool=callgrind --collect-atstart=no some-server
//
// The folder contains two FIFOs. "idle": the server writes a byte before it sleeps. "go": the client writes a byte for
// each sleep that must end, 'g', or 'm' to collect costs until the next sleep; 'a' arms the gate, 'x' opens it
// permanently. For servers with one loop that waits with epoll_wait.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include <valgrind/callgrind.h>

static int (*real_wait)(int, struct epoll_event *, int, int);
static int idle = -1;
static int go = -1;
static bool armed;
static bool collecting;

static void give_up(const char *sentence) {
    ssize_t ignored = write(STDERR_FILENO, sentence, strlen(sentence));
    (void)ignored;
    _exit(127);
}

static int open_fifo(const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    // For both directions, so that neither opening nor reading depends on the other process.
    int descriptor = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0) give_up("wait_gate: WAIT_GATE names no folder with the FIFOs 'idle' and 'go'\n");
    return descriptor;
}

__attribute__((constructor)) static void open_gate(void) {
    real_wait = (int (*)(int, struct epoll_event *, int, int))dlsym(RTLD_NEXT, "epoll_wait");
    const char *folder = getenv("WAIT_GATE");
    if (real_wait == NULL || folder == NULL) give_up("wait_gate: WAIT_GATE is not set\n");
    idle = open_fifo(folder, "idle");
    go = open_fifo(folder, "go");
}

static void collect(bool wanted) {
    if (collecting == wanted) return;
    collecting = wanted;
    CALLGRIND_TOGGLE_COLLECT;
}

static void say_idle(void) {
    if (write(idle, "i", 1) != 1) give_up("wait_gate: the FIFO 'idle' is full\n");
}

int epoll_wait(int epoll, struct epoll_event *events, int capacity, int timeout) {
    bool was_collecting = collecting;
    collect(false);
    int count = real_wait(epoll, events, capacity, 0);
    bool sleeps = count == 0 && timeout != 0;
    if (sleeps && armed) say_idle();
    while (sleeps) {
        // While the gate is not armed, an event ends the sleep too.
        struct pollfd sources[2] = {{.fd = go, .events = POLLIN}, {.fd = epoll, .events = POLLIN}};
        // poll() instead of read(), because a signal ends it even if its handler restarts calls.
        int ready = poll(sources, armed ? 1 : 2, timeout);
        char byte = 0;
        if (ready > 0 && read(go, &byte, 1) == 1) {
            if (byte == 'a') {
                armed = true;
                say_idle();
                continue;
            }
            if (byte == 'x') {
                armed = false;
                continue;
            }
            was_collecting = byte == 'm';
        } else {
            was_collecting = false;
        }
        count = real_wait(epoll, events, capacity, 0);
        sleeps = false;
    }
    collect(was_collecting);
    return count;
}
