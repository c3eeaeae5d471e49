// Where a server listens and a client connects, as `aio` writes it: ADDRESS:PORT, unix:PATH, udp:ADDRESS:PORT.
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

struct endpoint {
    /// SOCK_STREAM or SOCK_DGRAM.
    int type;
    socklen_t length;
    union {
        struct sockaddr any;
        struct sockaddr_storage storage;
        struct sockaddr_un path;
    } address;
};

/// Parses an endpoint or ends the program. Names of hosts are not allowed, because a benchmark must not wait for a
/// resolver.
struct endpoint parse_endpoint(const char *option, const char *text);

enum { ENDPOINT_TEXT_BYTES = sizeof(struct sockaddr_un) + 16 };

/// Writes the text of an endpoint.
void describe_endpoint(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_BYTES]);

bool is_tcp(const struct endpoint *endpoint);
