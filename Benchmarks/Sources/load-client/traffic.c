#include "traffic.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "content.h"
#include "dialing.h"
#include "flood.h"
#include "latency.h"
#include "lock_step.h"
#include "support.h"

enum {
    RECEIVE_BUFFER_BYTES = 256 * 1024,
    EVENTS_PER_WAIT = 256,
    MESSAGES_PER_SEND = 64,
    COMPLAINTS = 5,
    OWN_DESCRIPTORS = 16,
};

// Positions in the stream of a connection. Message m occupies the bytes from m * message_bytes, and always received <=
// sent <= started * message_bytes.
struct connection {
    int descriptor;  // -1 once lost
    bool waits_for_room;
    uint64_t number;
    uint64_t started;  // in messages
    uint64_t sent;
    uint64_t received;
    // The start time of each message in flight, by its number modulo in_flight.
    uint64_t *start_times;
};

static struct load load;
static struct connection *connections;
static char receive_buffer[RECEIVE_BUFFER_BYTES];
static int epoll;
static uint64_t errors;

// The current run.
static uint64_t messages_to_start;
static uint64_t deadline;
static uint64_t under_way;
static uint64_t completed;

static void lose(struct connection *connection, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void lose(struct connection *connection, const char *format, ...) {
    char sentence[160];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    errors += 1;
    if (errors <= COMPLAINTS) complain("connection %llu: %s", (unsigned long long)connection->number, sentence);
    if (errors == COMPLAINTS + 1) complain("further errors are only counted");
    under_way -= connection->started - connection->received / load.message_bytes;
    close(connection->descriptor);
    connection->descriptor = -1;
}

static void wait_for_room(struct connection *connection, bool waits) {
    if (connection->waits_for_room == waits) return;
    connection->waits_for_room = waits;
    struct epoll_event event = {.events = waits ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(epoll, EPOLL_CTL_MOD, connection->descriptor, &event) != 0) fail_errno("epoll_ctl failed");
}

static void start_messages(struct connection *connection, uint64_t time) {
    uint64_t done = connection->received / load.message_bytes;
    while (connection->started - done < load.in_flight && messages_to_start > 0 && time < deadline) {
        connection->start_times[connection->started % load.in_flight] = time;
        connection->started += 1;
        under_way += 1;
        messages_to_start -= 1;
    }
}

/// Sends everything that is started and not yet sent, up to MESSAGES_PER_SEND messages, in one call.
static ssize_t send_started(struct connection *connection) {
    struct iovec parts[MESSAGES_PER_SEND];
    size_t count = 0;
    uint64_t message = connection->sent / load.message_bytes;
    size_t offset = connection->sent % load.message_bytes;
    for (; message < connection->started && count < MESSAGES_PER_SEND; message++, count++) {
        parts[count].iov_base = (char *)content_of(connection->number, message) + offset;
        parts[count].iov_len = load.message_bytes - offset;
        offset = 0;
    }
    struct msghdr header = {.msg_iov = parts, .msg_iovlen = count};
    return sendmsg(connection->descriptor, &header, MSG_NOSIGNAL);
}

static void flush(struct connection *connection) {
    while (connection->sent < connection->started * load.message_bytes) {
        ssize_t sent = send_started(connection);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            wait_for_room(connection, true);
            return;
        }
        if (sent < 0) {
            lose(connection, "cannot send: %s", strerror(errno));
            return;
        }
        connection->sent += (uint64_t)sent;
    }
    wait_for_room(connection, false);
}

/// Returns false if the bytes are not those that were sent; the connection is then lost.
static bool check(struct connection *connection, const char *bytes, size_t count, uint64_t time) {
    if (count > connection->sent - connection->received) {
        lose(connection, "the server sent back more bytes than it was sent");
        return false;
    }
    while (count > 0) {
        uint64_t message = connection->received / load.message_bytes;
        size_t offset = connection->received % load.message_bytes;
        size_t part = load.message_bytes - offset < count ? load.message_bytes - offset : count;
        if (memcmp(bytes, content_of(connection->number, message) + offset, part) != 0) {
            lose(connection, "message %llu came back with other bytes", (unsigned long long)message);
            return false;
        }
        connection->received += part;
        bytes += part;
        count -= part;
        if (offset + part < load.message_bytes) return true;
        latency_add(time - connection->start_times[message % load.in_flight]);
        under_way -= 1;
        completed += 1;
    }
    return true;
}

static void handle(struct connection *connection) {
    ssize_t received = recv(connection->descriptor, receive_buffer, sizeof receive_buffer, 0);
    uint64_t time = now();
    if (received < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        lose(connection, "cannot receive: %s", strerror(errno));
        return;
    }
    if (received == 0) {
        lose(connection, "the server closed it");
        return;
    }
    if (received > 0 && !check(connection, receive_buffer, (size_t)received, time)) return;
    start_messages(connection, time);
    flush(connection);
}

static void give_up_waiting(void) {
    for (uint64_t number = 0; number < load.connections; number++) {
        struct connection *connection = &connections[number];
        if (connection->descriptor < 0 || connection->started == connection->received / load.message_bytes) continue;
        lose(connection, "no byte came back for %d seconds", PATIENCE_SECONDS);
    }
}

struct result traffic_run(uint64_t messages, uint64_t nanoseconds, bool counted) {
    lock_step_wait();
    latency_clear();
    completed = 0;
    messages_to_start = messages;
    uint64_t begin = now();
    deadline = nanoseconds < UINT64_MAX - begin ? begin + nanoseconds : UINT64_MAX;
    for (uint64_t number = 0; number < load.connections; number++) {
        struct connection *connection = &connections[number];
        if (connection->descriptor < 0) continue;
        start_messages(connection, now());
        flush(connection);
    }
    flood_begin();
    lock_step_go(counted);
    struct epoll_event events[EVENTS_PER_WAIT];
    while (under_way > 0) {
        int count = epoll_wait(epoll, events, EVENTS_PER_WAIT, PATIENCE_SECONDS * 1000);
        if (count < 0 && errno != EINTR) fail_errno("epoll_wait failed");
        if (count == 0) give_up_waiting();
        for (int index = 0; index < count; index++) {
            void *owner = events[index].data.ptr;
            if (flood_owns(owner)) flood_handle(owner);
            else handle(owner);
        }
    }
    struct result result = {.messages = completed, .nanoseconds = now() - begin};
    flood_end();
    return result;
}

void traffic_expect_silence(void) {
    for (uint64_t number = 0; number < load.connections; number++) {
        struct connection *connection = &connections[number];
        if (connection->descriptor < 0) continue;
        ssize_t received = recv(connection->descriptor, receive_buffer, sizeof receive_buffer, 0);
        if (received == 0) lose(connection, "the server closed it");
        if (received > 0) lose(connection, "the server sent back more bytes than it was sent");
        if (received < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
            lose(connection, "cannot receive: %s", strerror(errno));
        }
    }
}

uint64_t traffic_errors(void) { return errors; }

void traffic_connect(const struct load *wanted) {
    load = *wanted;
    allow_descriptors(load.connections + load.floods + OWN_DESCRIPTORS);
    content_prepare(load.message_bytes);
    connections = calloc(load.connections, sizeof *connections);
    uint64_t *start_times = calloc(load.connections * load.in_flight, sizeof *start_times);
    if (connections == NULL || start_times == NULL) fail("no memory for the connections");
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) fail_errno("epoll_create1 failed");
    for (uint64_t number = 0; number < load.connections; number++) {
        struct connection *connection = &connections[number];
        connection->number = number;
        connection->start_times = start_times + number * load.in_flight;
        connection->descriptor = dial(&load.server);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, connection->descriptor, &event) != 0) fail_errno("epoll_ctl failed");
    }
    flood_connect(load.floods, &load.server, epoll);
}
