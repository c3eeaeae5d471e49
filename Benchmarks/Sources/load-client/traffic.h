// The connections and what flows over them.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct load {
    struct sockaddr_in server;
    uint64_t connections;
    uint64_t message_bytes;
    /// How many messages of one connection may be under way at once.
    uint64_t in_flight;
    /// Connections that send as fast as they can, beside the others.
    uint64_t floods;
};

struct result {
    /// Messages that came back complete and correct.
    uint64_t messages;
    uint64_t nanoseconds;
};

/// A connected, non-blocking socket; ends the program if there is none.
int traffic_open_connection(void);

/// Opens all connections or ends the program.
void traffic_connect(const struct load *load);

/// Sends until `messages` have been started or `nanoseconds` have passed, then waits for what is still under way, so
/// that nothing flows between two runs. `counted`: the server behind a gate collects its costs.
struct result traffic_run(uint64_t messages, uint64_t nanoseconds, bool counted);

/// Looks at every idle connection once: a server that sent too much, or hung up, is found out here.
void traffic_expect_silence(void);

/// Connections that were lost or brought wrong bytes; each has been reported on stderr and is closed.
uint64_t traffic_errors(void);
