#include "endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "support.h"

static bool skip(const char **text, const char *prefix) {
    size_t length = strlen(prefix);
    if (strncmp(*text, prefix, length) != 0) return false;
    *text += length;
    return true;
}

static struct endpoint parse_path(const char *option, const char *path) {
    struct endpoint endpoint = {.type = SOCK_STREAM, .address.path.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof endpoint.address.path.sun_path) {
        fail("%s takes a path of 1 to %zu bytes, not '%s'", option, sizeof endpoint.address.path.sun_path - 1, path);
    }
    memcpy(endpoint.address.path.sun_path, path, length);
    endpoint.length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length + 1);
    return endpoint;
}

struct endpoint parse_endpoint(const char *option, const char *text) {
    const char *rest = text;
    if (skip(&rest, "unix:")) return parse_path(option, rest);
    struct endpoint endpoint = {.type = skip(&rest, "udp:") ? SOCK_DGRAM : SOCK_STREAM};
    const char *colon = strrchr(rest, ':');
    char host[INET_ADDRSTRLEN] = {0};
    struct sockaddr_in address = {.sin_family = AF_INET};
    bool host_fits = colon != NULL && (size_t)(colon - rest) < sizeof host;
    if (host_fits) memcpy(host, rest, (size_t)(colon - rest));
    if (!host_fits || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fail("%s takes an IPv4 address with a port, such as 127.0.0.1:8000, or unix:PATH, not '%s'", option, text);
    }
    address.sin_port = htons((uint16_t)parse_number(option, colon + 1, 0, UINT16_MAX));
    memcpy(&endpoint.address, &address, sizeof address);
    endpoint.length = sizeof address;
    return endpoint;
}

void describe_endpoint(const struct endpoint *endpoint, char text[ENDPOINT_TEXT_BYTES]) {
    if (endpoint->address.any.sa_family == AF_UNIX) {
        snprintf(text, ENDPOINT_TEXT_BYTES, "unix:%s", endpoint->address.path.sun_path);
        return;
    }
    struct sockaddr_in address;
    memcpy(&address, &endpoint->address, sizeof address);
    char host[INET_ADDRSTRLEN];
    if (inet_ntop(AF_INET, &address.sin_addr, host, sizeof host) == NULL) fail_errno("inet_ntop failed");
    const char *prefix = endpoint->type == SOCK_DGRAM ? "udp:" : "";
    snprintf(text, ENDPOINT_TEXT_BYTES, "%s%s:%d", prefix, host, ntohs(address.sin_port));
}

bool is_tcp(const struct endpoint *endpoint) {
    return endpoint->type == SOCK_STREAM && endpoint->address.any.sa_family != AF_UNIX;
}
