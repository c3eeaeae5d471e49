#include "dialing.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

#include "support.h"

enum { SOURCES = 250, FIRST_SOURCE = 0x7F000101 };

static int open_socket(const struct endpoint *server) {
    int descriptor = socket(server->address.any.sa_family, server->type | SOCK_CLOEXEC, 0);
    if (descriptor < 0) fail_errno("socket failed");
    if (is_tcp(server) && !set_no_delay(descriptor)) fail_errno("TCP_NODELAY failed");
    // Also limits a connect to a server that does not accept.
    struct timeval patience = {.tv_sec = PATIENCE_SECONDS};
    if (setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience) != 0) {
        fail_errno("SO_SNDTIMEO failed");
    }
    return descriptor;
}

static int connected(int descriptor, const struct endpoint *server) {
    if (connect(descriptor, &server->address.any, server->length) != 0) fail_errno("a connection cannot be opened");
    int flags = fcntl(descriptor, F_GETFL);
    if (flags < 0 || fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0) fail_errno("fcntl failed");
    return descriptor;
}

int dial(const struct endpoint *server) { return connected(open_socket(server), server); }

int dial_from(const struct endpoint *server, uint64_t number) {
    int descriptor = open_socket(server);
    if (is_tcp(server)) {
        int on = 1;
        struct sockaddr_in source = {
            .sin_family = AF_INET, .sin_addr.s_addr = htonl(FIRST_SOURCE + (uint32_t)(number % SOURCES))};
        if (setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) != 0 ||
            bind(descriptor, (struct sockaddr *)&source, sizeof source) != 0) {
            fail_errno("a source address cannot be bound");
        }
    }
    return connected(descriptor, server);
}

void allow_descriptors(uint64_t wanted) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) fail_errno("getrlimit failed");
    if (limit.rlim_cur >= wanted) return;
    if (limit.rlim_max < wanted) {
        fail("%llu descriptors are needed, the limit is %llu", (unsigned long long)wanted,
             (unsigned long long)limit.rlim_max);
    }
    limit.rlim_cur = wanted;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) fail_errno("setrlimit failed");
}

uint64_t now(void) {
    struct timespec time;
    if (clock_gettime(CLOCK_MONOTONIC, &time) != 0) fail_errno("clock_gettime failed");
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}
