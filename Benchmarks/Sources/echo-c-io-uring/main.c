// A second baseline: the same echo server of streams over io_uring. One thread, one io_uring_enter per iteration;
// connections are accepted and bytes received by operations that complete many times, into buffers that all connections
// share.
#include <errno.h>
#include <string.h>

#include "buffers.h"
#include "ring.h"
#include "server.h"
#include "serving.h"
#include "support.h"

enum {
    SUBMISSIONS = 4096,
    // Enough for several receives per connection in an iteration.
    COMPLETIONS = 16384,
    // All together about the size of a processor's second-level cache, because most bytes are sent at once.
    BUFFERS = 8,
    BUFFER_BYTES = 256 * 1024,
    // For kernels that use whole buffers only.
    WHOLE_BUFFERS = 1024,
    WHOLE_BUFFER_BYTES = 4096,
    MOST_BUFFERS = 32768,
    MOST_BUFFER_BYTES = 16 << 20,
};

struct options {
    const char *listen_on;
    bool probe;
    bool whole_buffers;
    size_t buffers;
    size_t buffer_bytes;
};

static struct options parse(int count, char **arguments) {
    struct options options = {.listen_on = "127.0.0.1:0"};
    for (int index = 1; index < count; index++) {
        const char *option = arguments[index], *value = arguments[index + 1];
        bool has_value = true;
        if (strcmp(option, "--listen") == 0 && value != NULL) {
            options.listen_on = value;
        } else if (strcmp(option, "--buffers") == 0 && value != NULL) {
            options.buffers = parse_number(option, value, 1, MOST_BUFFERS);
            if ((options.buffers & (options.buffers - 1)) != 0) fail("%s takes a power of two, not %s", option, value);
        } else if (strcmp(option, "--buffer-bytes") == 0 && value != NULL) {
            options.buffer_bytes = parse_number(option, value, 1, MOST_BUFFER_BYTES);
        } else if (strcmp(option, "--whole-buffers") == 0) {
            options.whole_buffers = true;
            has_value = false;
        } else if (strcmp(option, "--probe") == 0) {
            options.probe = true;
            has_value = false;
        } else {
            fail("usage: echo-c-io-uring [--listen ADDRESS:PORT | unix:PATH] [--buffers N] [--buffer-bytes N] "
                 "[--whole-buffers] [--probe]");
        }
        index += has_value ? 1 : 0;
    }
    return options;
}

static void open_buffers(struct buffers *buffers, const struct ring *ring, const struct options *options) {
    bool whole = options->whole_buffers;
    for (;;) {
        size_t count = options->buffers ? options->buffers : whole ? WHOLE_BUFFERS : BUFFERS;
        size_t bytes = options->buffer_bytes ? options->buffer_bytes : whole ? WHOLE_BUFFER_BYTES : BUFFER_BYTES;
        if (buffers_open(buffers, ring, count, bytes, whole)) return;
        if (errno != EINVAL || whole) fail_errno("the buffers cannot be registered");
        whole = true;
    }
}

int main(int count, char **arguments) {
    struct options options = parse(count, arguments);
    struct endpoint endpoint = parse_endpoint("--listen", options.listen_on);
    if (endpoint.type != SOCK_STREAM) fail("this server has no datagrams");
    struct ring ring;
    struct buffers buffers;
    if (!ring_open(&ring, SUBMISSIONS, COMPLETIONS)) fail_errno("io_uring_setup failed");
    open_buffers(&buffers, &ring, &options);
    if (options.probe) return 0;
    int termination = open_termination();
    int listener = open_listener(&endpoint);
    print_listening(&endpoint, "c io_uring");
    serve(&ring, &buffers, listener, termination, is_tcp(&endpoint));
    close_listener(&endpoint);
    return 0;
}
