#include "streams.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support.h"

enum { RECEIVE_BUFFER_BYTES = 64 * 1024, EVENTS_PER_WAIT = 256, ACCEPTS_PER_EVENT = 64 };

struct connection {
    int descriptor;
    // The bytes of the last receive that the kernel did not accept. Nothing is received meanwhile, so one buffer is
    // enough.
    char *pending;
    size_t pending_start;
    size_t pending_end;
};

struct server {
    int epoll;
    int listener;
    int termination;
    bool is_tcp;
    // Set when descriptors or memory ran out, because a level-triggered listener would be reported forever.
    bool accepting_paused;
};

static char receive_buffer[RECEIVE_BUFFER_BYTES];

static void watch(struct server *server, int operation, int descriptor, uint32_t events, void *owner) {
    struct epoll_event event = {.events = events, .data.ptr = owner};
    if (epoll_ctl(server->epoll, operation, descriptor, &event) != 0) {
        fail_errno("epoll_ctl failed for descriptor %d", descriptor);
    }
}

static void pause_accepting(struct server *server, bool paused) {
    if (server->accepting_paused == paused) return;
    server->accepting_paused = paused;
    watch(server, EPOLL_CTL_MOD, server->listener, paused ? 0 : EPOLLIN, &server->listener);
}

static void close_connection(struct server *server, struct connection *connection) {
    // Closing also ends the registration, because the descriptor was never duplicated.
    close(connection->descriptor);
    free(connection->pending);
    free(connection);
    pause_accepting(server, false);
}

/// Returns the number of bytes that the kernel accepted, 0 if it would block, -1 if the connection has failed.
static ssize_t send_some(int descriptor, const char *bytes, size_t count) {
    ssize_t sent;
    do sent = send(descriptor, bytes, count, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
    return sent;
}

static bool keep_remainder(struct server *server, struct connection *connection, const char *bytes, size_t count) {
    connection->pending = malloc(count);
    if (connection->pending == NULL) return false;
    memcpy(connection->pending, bytes, count);
    connection->pending_start = 0;
    connection->pending_end = count;
    watch(server, EPOLL_CTL_MOD, connection->descriptor, EPOLLOUT, connection);
    return true;
}

/// Returns false if the connection has ended; so does `echo`.
static bool flush(struct server *server, struct connection *connection) {
    size_t left = connection->pending_end - connection->pending_start;
    ssize_t sent = send_some(connection->descriptor, connection->pending + connection->pending_start, left);
    if (sent < 0) return false;
    connection->pending_start += (size_t)sent;
    if (connection->pending_start < connection->pending_end) return true;
    free(connection->pending);
    connection->pending = NULL;
    watch(server, EPOLL_CTL_MOD, connection->descriptor, EPOLLIN, connection);
    return true;
}

static bool echo(struct server *server, struct connection *connection) {
    ssize_t received = recv(connection->descriptor, receive_buffer, sizeof receive_buffer, 0);
    if (received < 0) return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    if (received == 0) return false;
    ssize_t sent = send_some(connection->descriptor, receive_buffer, (size_t)received);
    if (sent < 0) return false;
    if (sent == received) return true;
    return keep_remainder(server, connection, receive_buffer + sent, (size_t)(received - sent));
}

/// Returns false if there was no connection to accept.
static bool accept_one(struct server *server) {
    int descriptor = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            complain("cannot accept, waiting until a connection closes: %s", strerror(errno));
            pause_accepting(server, true);
            return false;
        }
        // Any other error of accept belongs to the one connection that has just failed.
        return errno != EAGAIN && errno != EWOULDBLOCK;
    }
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL || (server->is_tcp && !set_no_delay(descriptor))) {
        complain("dropped a new connection: %s", strerror(errno));
        free(connection);
        close(descriptor);
        return true;
    }
    connection->descriptor = descriptor;
    watch(server, EPOLL_CTL_ADD, descriptor, EPOLLIN, connection);
    return true;
}

static void serve(struct server *server) {
    struct epoll_event events[EVENTS_PER_WAIT];
    for (;;) {
        int count = epoll_wait(server->epoll, events, EVENTS_PER_WAIT, -1);
        if (count < 0 && errno != EINTR) fail_errno("epoll_wait failed");
        for (int index = 0; index < count; index++) {
            void *owner = events[index].data.ptr;
            if (owner == &server->termination) return;
            if (owner == &server->listener) {
                for (int tries = 0; tries < ACCEPTS_PER_EVENT && accept_one(server); tries++) {}
                continue;
            }
            // A connection is registered once and closed only here, so no later event of this batch can refer to it.
            struct connection *connection = owner;
            bool alive = connection->pending != NULL ? flush(server, connection) : echo(server, connection);
            if (!alive) close_connection(server, connection);
        }
    }
}

void serve_streams(int epoll, int listener, int termination, bool is_tcp) {
    struct server server = {.epoll = epoll, .listener = listener, .termination = termination, .is_tcp = is_tcp};
    watch(&server, EPOLL_CTL_ADD, termination, EPOLLIN, &server.termination);
    watch(&server, EPOLL_CTL_ADD, listener, EPOLLIN, &server.listener);
    serve(&server);
}
