// Searching memory, as fast as the C library can: linear in the length of what is searched, whatever is in it.
#ifndef CASYNCIO_BYTES_H
#define CASYNCIO_BYTES_H

#include <stddef.h>

// Where `pattern` begins for the first time, or -1. An empty pattern is found at 0.
ptrdiff_t aio_find_bytes(
    const void *_Nonnull bytes, size_t count, const void *_Nonnull pattern, size_t pattern_count);

#endif
