// Latencies in a histogram of fixed size, so that a run may have any length.
#pragma once

#include <stdint.h>

void latency_clear(void);
void latency_add(uint64_t nanoseconds);

/// The smallest latency, in microseconds, that this share of all messages did not exceed; off by less than 1 %.
double latency_percentile(double share);
