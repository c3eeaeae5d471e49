// The baseline of all measurements: an echo server that does only what the kernel requires. One thread, over
// level-triggered epoll.
#include <string.h>
#include <sys/epoll.h>

#include "datagrams.h"
#include "server.h"
#include "streams.h"
#include "support.h"

int main(int count, char **arguments) {
    const char *listen_on = "127.0.0.1:0";
    if (count == 3 && strcmp(arguments[1], "--listen") == 0) {
        listen_on = arguments[2];
    } else if (count != 1) {
        fail("usage: echo-c-epoll [--listen ADDRESS:PORT | unix:PATH | udp:ADDRESS:PORT]");
    }
    struct endpoint endpoint = parse_endpoint("--listen", listen_on);
    int termination = open_termination();
    int listener = open_listener(&endpoint);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0) fail_errno("epoll_create1 failed");

    print_listening(&endpoint, "c");
    if (endpoint.type == SOCK_DGRAM) {
        serve_datagrams(epoll, listener, termination);
    } else {
        serve_streams(epoll, listener, termination, is_tcp(&endpoint));
    }
    close_listener(&endpoint);
    return 0;
}
