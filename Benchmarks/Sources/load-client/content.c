// Messages are overlapping windows into one pool of random bytes. Creating one costs a multiplication and checking one
// a memcmp, so the client is faster than the servers that it measures.
#include "content.h"

#include <stdlib.h>

#include "support.h"

// WINDOWS is prime and the steps are not multiples of it, so two consecutive messages of a connection, and the same
// message of two connections, never begin at the same offset.
enum { WINDOWS = 65521, CONNECTION_STEP = 7919, MESSAGE_STEP = 31337 };

static char *pool;

void content_prepare(size_t message_bytes) {
    size_t pool_bytes = message_bytes + WINDOWS;
    pool = malloc(pool_bytes);
    if (pool == NULL) fail("no memory for %zu bytes of content", pool_bytes);
    // xorshift64 from a fixed seed: every run sends the same bytes.
    uint64_t state = 0x9E3779B97F4A7C15;
    for (size_t index = 0; index < pool_bytes; index++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        pool[index] = (char)(state >> 56);
    }
}

const char *content_of(uint64_t connection, uint64_t message) {
    return pool + (connection * CONNECTION_STEP + message % WINDOWS * MESSAGE_STEP) % WINDOWS;
}
