// Searching memory. Takes time linear in the number of searched bytes, for any content.
#ifndef CASYNCIO_BYTES_H
#define CASYNCIO_BYTES_H

#include <stddef.h>

// Returns the offset of the first occurrence of `pattern`, or -1. An empty pattern is found at 0.
ptrdiff_t aio_find_bytes(
    const void *_Nonnull bytes, size_t count, const void *_Nonnull pattern, size_t pattern_count);

#endif
