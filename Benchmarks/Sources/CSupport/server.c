#include "server.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "support.h"

enum { BACKLOG = 4096 };

int open_listener(struct sockaddr_in *address) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0) fail_errno("socket failed");
    int on = 1;
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) fail_errno("SO_REUSEADDR failed");
    if (bind(listener, (struct sockaddr *)address, sizeof *address) != 0) fail_errno("cannot bind");
    if (listen(listener, BACKLOG) != 0) fail_errno("cannot listen");
    socklen_t length = sizeof *address;
    if (getsockname(listener, (struct sockaddr *)address, &length) != 0) fail_errno("getsockname failed");
    return listener;
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

void print_listening(const struct sockaddr_in *address, const char *name) {
    char host[INET_ADDRSTRLEN];
    if (inet_ntop(AF_INET, &address->sin_addr, host, sizeof host) == NULL) fail_errno("inet_ntop failed");
    bool printed = printf("listening on %s:%d (%s)\n", host, ntohs(address->sin_port), name) > 0 && fflush(stdout) == 0;
    if (!printed) fail_errno("cannot write to stdout");
}
