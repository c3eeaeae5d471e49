// The connections and the messages on them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "endpoint.h"

struct load {
    struct endpoint server;
    uint64_t connections;
    uint64_t message_bytes;
    /// How many messages of one connection may be in flight.
    uint64_t in_flight;
    /// The number of connections that send as fast as they can, in addition to the others.
    uint64_t floods;
};

struct result {
    /// The number of messages that came back complete and correct.
    uint64_t messages;
    uint64_t nanoseconds;
};

/// Opens all connections or ends the program.
void traffic_connect(const struct load *load);

/// Sends until `messages` have been started or `nanoseconds` have passed, then waits for the messages in flight, so
/// that nothing is transferred between two runs. If `counted`, the server behind a gate collects its costs.
struct result traffic_run(uint64_t messages, uint64_t nanoseconds, bool counted);

/// Checks every idle connection once, to detect a server that sent too much or has closed.
void traffic_expect_silence(void);

/// The number of connections that were lost or returned wrong bytes. Each was reported on stderr and is closed.
uint64_t traffic_errors(void);
