#include "latency.h"

#include <string.h>

// Values below 128 ns have a bucket each; above, every power of two is divided into 128 equal parts.
enum { PART_BITS = 7, PARTS = 1 << PART_BITS, BUCKETS = (64 - PART_BITS + 1) * PARTS };

static uint64_t buckets[BUCKETS];
static uint64_t total;

void latency_clear(void) {
    memset(buckets, 0, sizeof buckets);
    total = 0;
}

void latency_add(uint64_t nanoseconds) {
    unsigned shift = nanoseconds < PARTS ? 0 : 63 - (unsigned)__builtin_clzll(nanoseconds) - PART_BITS;
    buckets[shift * PARTS + (nanoseconds >> shift)] += 1;
    total += 1;
}

double latency_percentile(double share) {
    uint64_t wanted = (uint64_t)(share * (double)total);
    uint64_t seen = 0;
    for (unsigned index = 0; index < BUCKETS; index++) {
        seen += buckets[index];
        if (seen == 0 || seen < wanted) continue;
        // The inverse of latency_add: past the first 2 * PARTS buckets, each run of PARTS stands for one more shift.
        unsigned shift = index < 2 * PARTS ? 0 : index / PARTS - 1;
        uint64_t value = (uint64_t)(index - shift * PARTS) << shift;
        return (double)value / 1000;
    }
    return 0;
}
