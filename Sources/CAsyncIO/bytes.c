#define _GNU_SOURCE
#include "include/bytes.h"

#include <string.h>

ptrdiff_t aio_find_bytes(const void *bytes, size_t count, const void *pattern, size_t pattern_count) {
    const char *found = pattern_count == 1 ? memchr(bytes, *(const unsigned char *)pattern, count)
                                           : memmem(bytes, count, pattern, pattern_count);
    return found == NULL ? -1 : found - (const char *)bytes;
}
