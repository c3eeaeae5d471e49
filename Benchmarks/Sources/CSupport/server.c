#include "server.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "support.h"

enum { BACKLOG = 4096 };

int open_listener(struct endpoint *endpoint) {
    int listener = socket(endpoint->address.any.sa_family, endpoint->type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0) fail_errno("socket failed");
    int on = 1;
    if (is_tcp(endpoint) && setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) {
        fail_errno("SO_REUSEADDR failed");
    }
    if (bind(listener, &endpoint->address.any, endpoint->length) != 0) fail_errno("cannot bind");
    if (endpoint->type == SOCK_STREAM && listen(listener, BACKLOG) != 0) fail_errno("cannot listen");
    endpoint->length = sizeof endpoint->address;
    if (getsockname(listener, &endpoint->address.any, &endpoint->length) != 0) fail_errno("getsockname failed");
    return listener;
}

void close_listener(const struct endpoint *endpoint) {
    if (endpoint->address.any.sa_family == AF_UNIX) unlink(endpoint->address.path.sun_path);
}

int open_termination(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) != 0) fail_errno("sigprocmask failed");
    int descriptor = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (descriptor < 0) fail_errno("signalfd failed");
    return descriptor;
}

void print_listening(const struct endpoint *endpoint, const char *name) {
    char text[ENDPOINT_TEXT_BYTES];
    describe_endpoint(endpoint, text);
    bool printed = printf("listening on %s (%s)\n", text, name) > 0 && fflush(stdout) == 0;
    if (!printed) fail_errno("cannot write to stdout");
}
