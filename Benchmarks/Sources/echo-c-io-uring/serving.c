// The memory of a send. A send that the kernel accepts as a whole posts no completion. It never waits, because of
// MSG_DONTWAIT, so it has ended when the io_uring_enter that submitted it returns, and if it was not accepted as a
// whole, its completion is in the ring or in the ring's overflow by then. So when all completions of an iteration have
// been handled, the sends of the previous iteration do not use their buffers any more. There is at most one of them per
// connection in an iteration; after a short one the rest is copied and sent by an operation that waits.
#include "serving.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "batch.h"
#include "support.h"

// The low bits of the user data of an operation; the others are a connection, or the number of an echo.
enum kind { ACCEPT, TERMINATION, RECEIVE, SEND, SEND_HELD, CANCEL, CLOSE, KIND_BITS = 3, KIND_MASK = 7 };

static const uint32_t NO_ECHO = UINT32_MAX;

/// Bytes that the kernel did not accept at once.
struct held {
    struct held *next;
    size_t start;
    size_t end;
    char bytes[];
};

struct connection {
    int descriptor;
    // The operations whose last completion is to come. An echo's send is not among them.
    bool is_receiving;
    bool is_cancelling;
    bool is_sending_held;
    bool is_at_eof;
    bool has_failed;
    // In the list of this name, of the server.
    bool is_changed;
    bool is_starved;
    // Its echo in the batch that is being gathered.
    uint32_t echo;
    // Nothing more is received before these have been sent.
    struct held *first_held;
    struct held *last_held;
    struct connection *next_changed;
    struct connection *next_starved;
};

struct server {
    struct ring *ring;
    struct buffers *buffers;
    int listener;
    bool is_tcp;
    bool is_terminated;
    // Set when descriptors ran out and no connection has been closed since.
    bool accepting_paused;
    bool has_closed_since_accept;
    // What this iteration received, and what the previous one received and this one has sent.
    struct batch *gathering;
    struct batch *sending;
    // The connections whose operations have to be considered at the end of the iteration.
    struct connection *changed;
    // The connections whose receive found no buffer, in this order.
    struct connection *first_starved;
    struct connection *last_starved;
};

static uint64_t data_of(const struct connection *connection, enum kind kind) {
    return (uint64_t)(uintptr_t)connection | kind;
}

static void change(struct server *server, struct connection *connection) {
    if (connection->is_changed) return;
    connection->is_changed = true;
    connection->next_changed = server->changed;
    server->changed = connection;
}

static void start_accepting(struct server *server) {
    struct io_uring_sqe *accept = ring_prepare(server->ring, IORING_OP_ACCEPT, server->listener, ACCEPT);
    accept->ioprio = IORING_ACCEPT_MULTISHOT;
    accept->accept_flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    server->accepting_paused = false;
    server->has_closed_since_accept = false;
}

/// `expected` says whether bytes have probably arrived; otherwise the kernel does not try before it waits.
static void start_receiving(struct server *server, struct connection *connection, bool expected) {
    struct io_uring_sqe *receive =
        ring_prepare(server->ring, IORING_OP_RECV, connection->descriptor, data_of(connection, RECEIVE));
    receive->ioprio = IORING_RECV_MULTISHOT | (expected ? 0 : IORING_RECVSEND_POLL_FIRST);
    receive->flags = IOSQE_BUFFER_SELECT;
    receive->buf_group = BUFFER_GROUP;
    connection->is_receiving = true;
}

static void cancel_receiving(struct server *server, struct connection *connection) {
    struct io_uring_sqe *cancel = ring_prepare(server->ring, IORING_OP_ASYNC_CANCEL, -1, data_of(connection, CANCEL));
    cancel->addr = data_of(connection, RECEIVE);
    connection->is_cancelling = true;
}

static void send_held(struct server *server, struct connection *connection) {
    struct held *held = connection->first_held;
    struct io_uring_sqe *send =
        ring_prepare(server->ring, IORING_OP_SEND, connection->descriptor, data_of(connection, SEND_HELD));
    send->addr = (uint64_t)(held->bytes + held->start);
    send->len = (uint32_t)(held->end - held->start);
    send->msg_flags = MSG_WAITALL | MSG_NOSIGNAL;
    connection->is_sending_held = true;
}

static void close_connection(struct server *server, struct connection *connection) {
    struct io_uring_sqe *close = ring_prepare(server->ring, IORING_OP_CLOSE, connection->descriptor, CLOSE);
    close->flags = IOSQE_CQE_SKIP_SUCCESS;
    while (connection->first_held != NULL) {
        struct held *next = connection->first_held->next;
        free(connection->first_held);
        connection->first_held = next;
    }
    free(connection);
    server->has_closed_since_accept = true;
    if (server->accepting_paused) start_accepting(server);
}

/// Starts what the state of a connection requires, after all completions of an iteration.
static void advance(struct server *server, struct connection *connection) {
    bool holds = connection->first_held != NULL;
    bool has_ended = connection->has_failed || (connection->is_at_eof && !holds);
    if (connection->is_receiving && !connection->is_cancelling && (has_ended || holds)) {
        cancel_receiving(server, connection);
    }
    if (holds && !connection->is_sending_held && !connection->has_failed) send_held(server, connection);
    if (connection->is_receiving || connection->is_cancelling || connection->is_sending_held) return;
    if (connection->is_starved) return;
    if (has_ended) {
        close_connection(server, connection);
    } else if (!holds && !connection->is_at_eof) {
        start_receiving(server, connection, true);
    }
}

static void advance_changed(struct server *server) {
    while (server->changed != NULL) {
        struct connection *connection = server->changed;
        server->changed = connection->next_changed;
        connection->is_changed = false;
        advance(server, connection);
    }
}

static void starve(struct server *server, struct connection *connection) {
    connection->is_starved = true;
    connection->next_starved = NULL;
    if (server->first_starved == NULL) server->first_starved = connection;
    else server->last_starved->next_starved = connection;
    server->last_starved = connection;
}

/// Starts no more receives than there are buffers, because the others would only fail again.
static void resume_starved(struct server *server) {
    size_t buffers = buffers_free(server->buffers);
    for (; server->first_starved != NULL && buffers > 0; buffers--) {
        struct connection *connection = server->first_starved;
        server->first_starved = connection->next_starved;
        connection->is_starved = false;
        advance(server, connection);
    }
}

/// Copies what the kernel has not accepted of an echo, to be sent by an operation that waits.
static void hold(struct server *server, struct batch *batch, struct echo *echo) {
    size_t count = echo->bytes - echo->sent;
    struct connection *connection = echo->connection;
    change(server, connection);
    struct held *held = malloc(sizeof *held + count);
    if (held == NULL) {
        connection->has_failed = true;
        return;
    }
    *held = (struct held){.end = count};
    batch_copy_unsent(batch, echo, held->bytes);
    if (connection->first_held == NULL) connection->first_held = held;
    else connection->last_held->next = held;
    connection->last_held = held;
}

/// Considers the sends of the previous iteration that were not accepted as a whole.
static void settle_sends(struct server *server) {
    struct batch *batch = server->sending;
    for (size_t number = 0; batch->short_count > 0 && number < batch->count; number++) {
        struct echo *echo = &batch->echoes[number];
        if (echo->sent == echo->bytes) continue;
        if (!echo->connection->has_failed) hold(server, batch, echo);
        batch->short_count -= 1;
    }
}

static void send_echo(struct server *server, struct batch *batch, uint32_t number) {
    struct echo *echo = &batch->echoes[number];
    uint64_t data = (uint64_t)number << KIND_BITS | SEND;
    int descriptor = echo->connection->descriptor;
    struct io_uring_sqe *send;
    if (echo->piece_count == 1) {
        struct iovec part = batch->pieces[echo->first].part;
        send = ring_prepare(server->ring, IORING_OP_SEND, descriptor, data);
        send->addr = (uint64_t)part.iov_base;
        send->len = (uint32_t)part.iov_len;
    } else {
        echo->message = (struct msghdr){.msg_iov = batch_parts(batch, echo), .msg_iovlen = echo->piece_count};
        send = ring_prepare(server->ring, IORING_OP_SENDMSG, descriptor, data);
        send->addr = (uint64_t)&echo->message;
        send->len = 1;
    }
    send->msg_flags = MSG_WAITALL | MSG_DONTWAIT | MSG_NOSIGNAL;
    send->flags = IOSQE_CQE_SKIP_SUCCESS;
}

/// Sends what this iteration has received.
static void send_gathered(struct server *server) {
    struct batch *batch = server->gathering;
    for (uint32_t number = 0; number < batch->count; number++) {
        struct echo *echo = &batch->echoes[number];
        struct connection *connection = echo->connection;
        connection->echo = NO_ECHO;
        // A connection is closed when its bytes have been sent, so its last bytes need a completion.
        bool waits = connection->first_held != NULL || connection->is_at_eof || echo->piece_count > IOV_MAX;
        if (waits && !connection->has_failed) hold(server, batch, echo);
        if (!waits && !connection->has_failed) send_echo(server, batch, number);
        echo->sent = echo->bytes;
    }
    server->gathering = server->sending;
    server->sending = batch;
    batch_clear(server->gathering);
}

static void handle_accept(struct server *server, const struct io_uring_cqe *completion) {
    int descriptor = completion->res;
    bool has_more = (completion->flags & IORING_CQE_F_MORE) != 0;
    bool ran_out = descriptor == -EMFILE || descriptor == -ENFILE || descriptor == -ENOBUFS || descriptor == -ENOMEM;
    if (ran_out && !has_more && !server->has_closed_since_accept) {
        complain("cannot accept, waiting until a connection closes: %s", strerror(-descriptor));
        server->accepting_paused = true;
        return;
    }
    if (!has_more) start_accepting(server);
    // Any other error of accept belongs to the one connection that has just failed.
    if (descriptor < 0) return;
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL || (server->is_tcp && !set_no_delay(descriptor))) {
        complain("dropped a new connection: %s", strerror(errno));
        free(connection);
        close(descriptor);
        return;
    }
    connection->descriptor = descriptor;
    connection->echo = NO_ECHO;
    start_receiving(server, connection, false);
}

static void handle_receive(
    struct server *server, struct connection *connection, const struct io_uring_cqe *completion) {
    if (completion->res > 0) {
        char *bytes = buffers_received(server->buffers, completion);
        if (connection->echo == NO_ECHO) connection->echo = batch_add(server->gathering, connection);
        batch_append(server->gathering, connection->echo, bytes, (size_t)completion->res);
    }
    if (completion->flags & IORING_CQE_F_MORE) return;
    connection->is_receiving = false;
    change(server, connection);
    if (completion->res == 0) {
        connection->is_at_eof = true;
    } else if (completion->res == -ENOBUFS) {
        starve(server, connection);
    } else if (completion->res < 0 && completion->res != -ECANCELED && completion->res != -EINTR) {
        connection->has_failed = true;
    }
}

static void handle_send(struct server *server, uint64_t number, int result) {
    struct batch *batch = server->sending;
    struct echo *echo = &batch->echoes[number];
    if (result < 0 && result != -EAGAIN && result != -EINTR) {
        echo->connection->has_failed = true;
        change(server, echo->connection);
    }
    echo->sent = result > 0 ? (size_t)result : 0;
    batch->short_count += 1;
}

static void handle_send_held(struct server *server, struct connection *connection, int result) {
    connection->is_sending_held = false;
    change(server, connection);
    if (result < 0) {
        connection->has_failed = result != -EINTR && result != -EAGAIN;
        return;
    }
    struct held *held = connection->first_held;
    held->start += (size_t)result;
    if (held->start < held->end) return;
    connection->first_held = held->next;
    free(held);
}

static void handle(struct server *server, const struct io_uring_cqe *completion) {
    struct connection *connection = (struct connection *)(uintptr_t)(completion->user_data & ~(uint64_t)KIND_MASK);
    switch ((enum kind)(completion->user_data & KIND_MASK)) {
    case RECEIVE: handle_receive(server, connection, completion); break;
    case SEND: handle_send(server, completion->user_data >> KIND_BITS, completion->res); break;
    case SEND_HELD: handle_send_held(server, connection, completion->res); break;
    case CANCEL:
        // If it found nothing, the receive was just being handled by the kernel, and `advance` cancels it again.
        connection->is_cancelling = false;
        change(server, connection);
        break;
    case ACCEPT: handle_accept(server, completion); break;
    case TERMINATION: server->is_terminated = true; break;
    default: break;
    }
}

void serve(struct ring *ring, struct buffers *buffers, int listener, int termination, bool is_tcp) {
    struct batch batches[2] = {0};
    struct server server = {
        .ring = ring, .buffers = buffers, .listener = listener, .is_tcp = is_tcp, .gathering = &batches[0],
        .sending = &batches[1]};
    start_accepting(&server);
    ring_prepare(ring, IORING_OP_POLL_ADD, termination, TERMINATION)->poll32_events = EPOLLIN;
    while (!server.is_terminated) {
        // The buffers that starved connections need come back without a completion.
        ring_enter(ring, server.first_starved == NULL ? 1 : 0);
        struct io_uring_cqe completion;
        while (ring_next(ring, &completion)) handle(&server, &completion);
        settle_sends(&server);
        buffers_recycle(buffers);
        send_gathered(&server);
        advance_changed(&server);
        resume_starved(&server);
    }
}
