#include "lock_step.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#include "support.h"

enum { PATIENCE_SECONDS = 60 };

static int idle = -1;
static int go = -1;

static int open_fifo(const char *folder, const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    int descriptor = open(path, O_RDWR | O_CLOEXEC);
    if (descriptor < 0) fail_errno("'%s' cannot be opened", path);
    return descriptor;
}

static void say(char byte) {
    if (write(go, &byte, 1) != 1) fail_errno("the gate cannot be reached");
}

void lock_step_arm(const char *folder) {
    idle = open_fifo(folder, "idle");
    go = open_fifo(folder, "go");
    say('a');
}

void lock_step_wait(void) {
    if (idle < 0) return;
    struct pollfd source = {.fd = idle, .events = POLLIN};
    int ready = poll(&source, 1, PATIENCE_SECONDS * 1000);
    char byte;
    if (ready <= 0 || read(idle, &byte, 1) != 1) fail("the server did not sleep for %d seconds", PATIENCE_SECONDS);
}

void lock_step_go(bool counted) {
    if (go >= 0) say(counted ? 'm' : 'g');
}

void lock_step_end(void) {
    if (go >= 0) say('x');
}
