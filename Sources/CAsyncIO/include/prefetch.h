#ifndef CASYNCIO_PREFETCH_H
#define CASYNCIO_PREFETCH_H

// Begins to load the first cache lines of an object that is used soon.
static inline void aio_prefetch(const void *_Nonnull object) {
    __builtin_prefetch(object);
    __builtin_prefetch((const char *)object + 64);
    __builtin_prefetch((const char *)object + 128);
}

#endif
