#define _GNU_SOURCE
#include "include/datagrams.h"

#include <string.h>

static int result(int value) { return value < 0 ? -errno : value; }

#if defined(__linux__)
_Static_assert(sizeof(aio_message) == sizeof(struct mmsghdr), "a message");

int aio_receive_messages(int fd, aio_message *messages, unsigned int count) {
    int received;
    do {
        received = result(recvmmsg(fd, (struct mmsghdr *)messages, count, MSG_DONTWAIT, NULL));
    } while (received == -EINTR);
    return received;
}

// sendto(2) reads no headers, which makes it cheaper for one message.
static int send_one(int fd, aio_message *message) {
    const struct msghdr *header = &message->header;
    int sent;
    do {
        sent = result((int)sendto(
            fd, header->msg_iov->iov_base, header->msg_iov->iov_len, AIO_SEND_FLAGS, header->msg_name,
            header->msg_namelen));
    } while (sent == -EINTR);
    if (sent < 0) return sent;
    message->byte_count = (unsigned int)sent;
    return 1;
}

int aio_send_messages(int fd, aio_message *messages, unsigned int count) {
    if (count == 1) return send_one(fd, messages);
    int sent;
    do {
        sent = result(sendmmsg(fd, (struct mmsghdr *)messages, count, AIO_SEND_FLAGS));
    } while (sent == -EINTR);
    return sent;
}
#else
int aio_receive_messages(int fd, aio_message *messages, unsigned int count) {
    for (unsigned int index = 0; index < count; index++) {
        ssize_t received = aio_receive_message(fd, &messages[index].header);
        if (received < 0) return index > 0 ? (int)index : (int)received;
        messages[index].byte_count = (unsigned int)received;
    }
    return (int)count;
}

int aio_send_messages(int fd, aio_message *messages, unsigned int count) {
    for (unsigned int index = 0; index < count; index++) {
        ssize_t sent = aio_send_message(fd, &messages[index].header);
        if (sent < 0) return index > 0 ? (int)index : (int)sent;
        messages[index].byte_count = (unsigned int)sent;
    }
    return (int)count;
}
#endif

static int change_group(int fd, const struct sockaddr_storage *group, unsigned int interface, int option) {
    struct group_req request = {.gr_interface = interface};
    memcpy(&request.gr_group, group, sizeof *group);
    int level = group->ss_family == AF_INET6 ? IPPROTO_IPV6 : IPPROTO_IP;
    return result(setsockopt(fd, level, option, &request, sizeof request));
}

int aio_join_group(int fd, const struct sockaddr_storage *group, unsigned int interface) {
    return change_group(fd, group, interface, MCAST_JOIN_GROUP);
}

int aio_leave_group(int fd, const struct sockaddr_storage *group, unsigned int interface) {
    return change_group(fd, group, interface, MCAST_LEAVE_GROUP);
}

int aio_set_multicast_interface(int fd, int family, unsigned int interface) {
    if (family == AF_INET6) return result(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_IF, &interface, sizeof interface));
    struct ip_mreqn request = {.imr_ifindex = (int)interface};
    return result(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &request, sizeof request));
}

int aio_set_multicast_loop(int fd, int family, int is_on) {
    if (family == AF_INET6) return result(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &is_on, sizeof is_on));
    // Other systems take one byte.
    unsigned char byte = is_on != 0;
    return result(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &byte, sizeof byte));
}

int aio_set_multicast_hops(int fd, int family, int hops) {
    if (hops < 0 || hops > 255) return -EINVAL;
    if (family == AF_INET6) return result(setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops));
    unsigned char byte = (unsigned char)hops;
    return result(setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &byte, sizeof byte));
}
