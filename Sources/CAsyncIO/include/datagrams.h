// Datagrams: several in one system call, and multicast groups. The functions return the result or -errno.
#ifndef CASYNCIO_DATAGRAMS_H
#define CASYNCIO_DATAGRAMS_H

#include <stdbool.h>

#include "system_calls.h"

// A message of recvmmsg(2) and sendmmsg(2): the `struct mmsghdr` of Linux.
typedef struct {
    struct msghdr header;
    unsigned int byte_count;
} aio_message;

// The flag MSG_TRUNC of a received message.
static const uint32_t AIO_MESSAGE_TRUNCATED = MSG_TRUNC;

// Sets the address, with the room for it or its length, and the only piece of a message.
static inline void aio_message_set(
    aio_message *_Nonnull message, void *_Nullable address, socklen_t address_length, struct iovec *_Nonnull piece) {
    message->header = (struct msghdr){0};
    message->header.msg_name = address;
    message->header.msg_namelen = address_length;
    message->header.msg_iov = piece;
    message->header.msg_iovlen = 1;
    message->byte_count = 0;
}

static inline socklen_t aio_message_address_length(const aio_message *_Nonnull message) {
    return message->header.msg_namelen;
}

// The kernel overwrites the room with the length of the address.
static inline void aio_message_set_address_length(aio_message *_Nonnull message, socklen_t length) {
    message->header.msg_namelen = length;
}

static inline bool aio_message_is_truncated(const aio_message *_Nonnull message) {
    return (message->header.msg_flags & MSG_TRUNC) != 0;
}

static inline void aio_message_set_truncated(aio_message *_Nonnull message, bool is_truncated) {
    message->header.msg_flags = is_truncated ? MSG_TRUNC : 0;
}

static inline void *_Nullable aio_message_address(const aio_message *_Nonnull message) {
    return message->header.msg_name;
}

static inline struct iovec *_Nonnull aio_message_piece(const aio_message *_Nonnull message) {
    return message->header.msg_iov;
}

// Receives up to `count` messages without waiting. Returns their number, at least one. recvmmsg(2).
int aio_receive_messages(int fd, aio_message *_Nonnull messages, unsigned int count);
// Sends up to `count` messages without waiting, in order. Returns the number of those that were sent before the first
// one that failed; the error of the first. Raises no SIGPIPE. sendmmsg(2).
int aio_send_messages(int fd, aio_message *_Nonnull messages, unsigned int count);

// Joins or leaves a multicast group of the address's family on an interface; 0 lets the system choose one. ip(7),
// ipv6(7).
int aio_join_group(int fd, const struct sockaddr_storage *_Nonnull group, unsigned int interface);
int aio_leave_group(int fd, const struct sockaddr_storage *_Nonnull group, unsigned int interface);
// The properties of multicast datagrams that the socket sends, for a socket of the given family: the interface, whether
// this machine receives them too, and their hop limit.
int aio_set_multicast_interface(int fd, int family, unsigned int interface);
int aio_set_multicast_loop(int fd, int family, int is_on);
int aio_set_multicast_hops(int fd, int family, int hops);

#endif
