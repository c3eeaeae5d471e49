// A lock without priority inheritance. On Linux a contended Mutex of the standard library is passed from thread to
// thread by the kernel (a futex with priority inheritance), so that many posts from eight threads take twenty times as
// long.
#ifndef CASYNCIO_LOCK_H
#define CASYNCIO_LOCK_H

#include <pthread.h>

static inline void aio_lock_init(pthread_mutex_t *_Nonnull lock) { pthread_mutex_init(lock, NULL); }
static inline void aio_lock_destroy(pthread_mutex_t *_Nonnull lock) { pthread_mutex_destroy(lock); }
static inline void aio_lock(pthread_mutex_t *_Nonnull lock) { pthread_mutex_lock(lock); }
static inline void aio_unlock(pthread_mutex_t *_Nonnull lock) { pthread_mutex_unlock(lock); }

#endif
