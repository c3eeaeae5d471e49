#include "flood.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "dialing.h"
#include "support.h"

// One piece per event, so that this program does not delay the messages that it measures.
enum { PIECE_BYTES = 64 * 1024 };

struct flood {
    int descriptor;
    uint64_t sent;
    uint64_t received;
};

static struct flood *floods;
static uint64_t flood_count;
static bool is_sending;
static int epoll;
static uint64_t received;
static char piece[PIECE_BYTES];

static void watch(struct flood *flood, int operation) {
    struct epoll_event event = {.events = is_sending ? EPOLLIN | EPOLLOUT : EPOLLIN, .data.ptr = flood};
    if (epoll_ctl(epoll, operation, flood->descriptor, &event) != 0) fail_errno("epoll_ctl failed");
}

void flood_connect(uint64_t count, const struct endpoint *server, int shared_epoll) {
    if (count == 0) return;
    floods = calloc(count, sizeof *floods);
    if (floods == NULL) fail("no memory for the flooding connections");
    flood_count = count;
    epoll = shared_epoll;
    memset(piece, 'f', sizeof piece);
    for (uint64_t number = 0; number < count; number++) {
        floods[number].descriptor = dial(server);
        watch(&floods[number], EPOLL_CTL_ADD);
    }
}

bool flood_owns(const void *owner) {
    const struct flood *flood = owner;
    return flood_count > 0 && flood >= floods && flood < floods + flood_count;
}

static void receive(struct flood *flood) {
    // TCP discards the bytes without copying them.
    ssize_t count = recv(flood->descriptor, NULL, 16 * PIECE_BYTES, MSG_TRUNC);
    if (count == 0) fail("the server closed a flooding connection");
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        fail_errno("a flooding connection cannot receive");
    }
    if (count <= 0) return;
    flood->received += (uint64_t)count;
    received += (uint64_t)count;
    if (flood->received > flood->sent) fail("the server sent a flooding connection more than it got");
}

void flood_handle(void *owner) {
    struct flood *flood = owner;
    receive(flood);
    if (!is_sending) return;
    ssize_t count = send(flood->descriptor, piece, sizeof piece, MSG_NOSIGNAL);
    if (count < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
        fail_errno("a flooding connection cannot send");
    }
    if (count > 0) flood->sent += (uint64_t)count;
}

static void set_sending(bool sends) {
    is_sending = sends;
    for (uint64_t number = 0; number < flood_count; number++) watch(&floods[number], EPOLL_CTL_MOD);
}

void flood_begin(void) {
    received = 0;
    set_sending(true);
}

void flood_end(void) {
    set_sending(false);
    uint64_t before = received;
    for (uint64_t number = 0; number < flood_count; number++) {
        struct flood *flood = &floods[number];
        while (flood->received < flood->sent) {
            struct pollfd source = {.fd = flood->descriptor, .events = POLLIN};
            if (poll(&source, 1, PATIENCE_SECONDS * 1000) == 0) {
                fail("a flooding connection got no byte back for %d seconds", PATIENCE_SECONDS);
            }
            receive(flood);
        }
    }
    received = before;
}

uint64_t flood_bytes(void) { return received; }
