// A plain lock. On Linux the standard library's Mutex hands itself over in the kernel (a futex with priority inheritance)
// whenever it is contended: a flood of posts from eight threads takes twenty times as long with it.
#ifndef CASYNCIO_LOCK_H
#define CASYNCIO_LOCK_H

#include <pthread.h>

static inline void aio_lock_init(pthread_mutex_t *_Nonnull lock) { pthread_mutex_init(lock, NULL); }
static inline void aio_lock_destroy(pthread_mutex_t *_Nonnull lock) { pthread_mutex_destroy(lock); }
static inline void aio_lock(pthread_mutex_t *_Nonnull lock) { pthread_mutex_lock(lock); }
static inline void aio_unlock(pthread_mutex_t *_Nonnull lock) { pthread_mutex_unlock(lock); }

#endif
