// Short connections: each is opened, sends one message, reads its echo and EOF, and is closed.
#pragma once

#include "traffic.h"

/// Keeps `load.connections` of them open until `messages` have been started or `nanoseconds` have passed, then waits
/// for the last ones.
struct result churn_run(const struct load *load, uint64_t messages, uint64_t nanoseconds);

/// The number of connections that were lost or returned wrong bytes.
uint64_t churn_errors(void);
