// A condition variable, with deadlines on the monotonic clock.
#ifndef CASYNCIO_CONDITION_H
#define CASYNCIO_CONDITION_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

void aio_condition_init(pthread_cond_t *_Nonnull condition);
void aio_condition_destroy(pthread_cond_t *_Nonnull condition);
void aio_condition_signal(pthread_cond_t *_Nonnull condition);
void aio_condition_broadcast(pthread_cond_t *_Nonnull condition);
void aio_condition_wait(pthread_cond_t *_Nonnull condition, pthread_mutex_t *_Nonnull lock);

// Returns false when the deadline has passed. May return early, like each wait for a condition variable.
bool aio_condition_wait_until(pthread_cond_t *_Nonnull condition, pthread_mutex_t *_Nonnull lock,
                              int64_t deadline_nanoseconds);

#endif
