#include "churn.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "content.h"
#include "dialing.h"
#include "latency.h"
#include "support.h"

enum { RECEIVE_BUFFER_BYTES = 64 * 1024, EVENTS_PER_WAIT = 256, COMPLAINTS = 5, OWN_DESCRIPTORS = 16 };

struct visit {
    int descriptor;
    uint64_t number;
    uint64_t received;
    uint64_t start_time;
};

static const struct load *load;
static struct visit *visits;
static int epoll = -1;
static uint64_t opened;
static uint64_t errors;

// The current run.
static uint64_t visits_to_start;
static uint64_t deadline;
static uint64_t under_way;
static uint64_t completed;

static void start(struct visit *visit) {
    uint64_t time = now();
    if (visits_to_start == 0 || time >= deadline) return;
    visits_to_start -= 1;
    under_way += 1;
    *visit = (struct visit){.number = opened++, .start_time = time};
    visit->descriptor = dial_from(&load->server, visit->number);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = visit};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, visit->descriptor, &event) != 0) fail_errno("epoll_ctl failed");
    // A new connection has room for a message of this size.
    ssize_t sent = send(visit->descriptor, content_of(visit->number, 0), load->message_bytes, MSG_NOSIGNAL);
    if (sent != (ssize_t)load->message_bytes) fail_errno("a message cannot be sent as a whole");
}

static void end(struct visit *visit, const char *error) {
    if (error != NULL) {
        errors += 1;
        if (errors <= COMPLAINTS) complain("connection %llu: %s", (unsigned long long)visit->number, error);
    } else {
        latency_add(now() - visit->start_time);
        completed += 1;
    }
    close(visit->descriptor);
    under_way -= 1;
    start(visit);
}

static void handle(struct visit *visit) {
    static char bytes[RECEIVE_BUFFER_BYTES];
    ssize_t count = recv(visit->descriptor, bytes, sizeof bytes, 0);
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
    if (count < 0) return end(visit, strerror(errno));
    if (count == 0) return end(visit, visit->received == load->message_bytes ? NULL : "the server closed it");
    if ((uint64_t)count > load->message_bytes - visit->received ||
        memcmp(bytes, content_of(visit->number, 0) + visit->received, (size_t)count) != 0) {
        return end(visit, "the message came back with other bytes");
    }
    visit->received += (uint64_t)count;
    // The server closes the connection when it reads this EOF.
    if (visit->received == load->message_bytes && shutdown(visit->descriptor, SHUT_WR) != 0) {
        end(visit, strerror(errno));
    }
}

struct result churn_run(const struct load *wanted, uint64_t messages, uint64_t nanoseconds) {
    if (epoll < 0) {
        load = wanted;
        allow_descriptors(load->connections + OWN_DESCRIPTORS);
        content_prepare(load->message_bytes);
        visits = calloc(load->connections, sizeof *visits);
        if (visits == NULL) fail("no memory for the connections");
        epoll = epoll_create1(EPOLL_CLOEXEC);
        if (epoll < 0) fail_errno("epoll_create1 failed");
    }
    latency_clear();
    completed = 0;
    visits_to_start = messages;
    uint64_t begin = now();
    deadline = nanoseconds < UINT64_MAX - begin ? begin + nanoseconds : UINT64_MAX;
    for (uint64_t index = 0; index < load->connections; index++) start(&visits[index]);
    struct epoll_event events[EVENTS_PER_WAIT];
    while (under_way > 0) {
        int count = epoll_wait(epoll, events, EVENTS_PER_WAIT, PATIENCE_SECONDS * 1000);
        if (count < 0 && errno != EINTR) fail_errno("epoll_wait failed");
        if (count == 0) fail("no byte came back for %d seconds", PATIENCE_SECONDS);
        for (int index = 0; index < count; index++) handle(events[index].data.ptr);
    }
    return (struct result){.messages = completed, .nanoseconds = now() - begin};
}

uint64_t churn_errors(void) { return errors; }
