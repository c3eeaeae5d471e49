#include "datagrams.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "support.h"

// A slot has room for the largest datagram, and a line more than 64 KiB between two of them, so that the first bytes of
// all slots are not in the same set of the cache.
enum { DATAGRAMS_PER_CALL = 64, SLOT_BYTES = 64 * 1024 + 64 };

static char bytes[DATAGRAMS_PER_CALL][SLOT_BYTES];
static struct sockaddr_storage peers[DATAGRAMS_PER_CALL];
static struct iovec parts[DATAGRAMS_PER_CALL];
static struct mmsghdr messages[DATAGRAMS_PER_CALL];

static void watch(int epoll, int descriptor) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = descriptor};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event) != 0) fail_errno("epoll_ctl failed");
}

static void prepare_slots(void) {
    for (int index = 0; index < DATAGRAMS_PER_CALL; index++) {
        parts[index].iov_base = bytes[index];
        messages[index].msg_hdr = (struct msghdr){.msg_name = &peers[index], .msg_iov = &parts[index], .msg_iovlen = 1};
    }
}

static void echo(int socket) {
    for (int index = 0; index < DATAGRAMS_PER_CALL; index++) {
        parts[index].iov_len = SLOT_BYTES;
        messages[index].msg_hdr.msg_namelen = sizeof peers[index];
    }
    int count = recvmmsg(socket, messages, DATAGRAMS_PER_CALL, MSG_DONTWAIT, NULL);
    if (count < 0) {
        // Any other error belongs to a datagram that was sent before.
        return;
    }
    for (int index = 0; index < count; index++) parts[index].iov_len = messages[index].msg_len;
    for (int sent = 0; sent < count;) {
        int result = sendmmsg(socket, messages + sent, (unsigned)(count - sent), MSG_DONTWAIT | MSG_NOSIGNAL);
        // The first datagram failed, or there is no room for it. UDP may lose it.
        sent += result > 0 ? result : 1;
    }
}

void serve_datagrams(int epoll, int socket, int termination) {
    prepare_slots();
    watch(epoll, termination);
    watch(epoll, socket);
    for (;;) {
        struct epoll_event events[2];
        int count = epoll_wait(epoll, events, 2, -1);
        if (count < 0 && errno != EINTR) fail_errno("epoll_wait failed");
        for (int index = 0; index < count; index++) {
            if (events[index].data.fd == termination) return;
            echo(socket);
        }
    }
}
