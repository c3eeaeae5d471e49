#define _GNU_SOURCE
#include "include/condition.h"

#include <errno.h>
#include <time.h>

#include "include/system_calls.h"

void aio_condition_init(pthread_cond_t *condition) {
#if defined(__APPLE__)
    pthread_cond_init(condition, NULL);
#else
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
#endif
}

void aio_condition_destroy(pthread_cond_t *condition) { pthread_cond_destroy(condition); }

void aio_condition_signal(pthread_cond_t *condition) { pthread_cond_signal(condition); }

void aio_condition_broadcast(pthread_cond_t *condition) { pthread_cond_broadcast(condition); }

void aio_condition_wait(pthread_cond_t *condition, pthread_mutex_t *lock) { pthread_cond_wait(condition, lock); }

bool aio_condition_wait_until(pthread_cond_t *condition, pthread_mutex_t *lock, int64_t deadline) {
    int64_t now = aio_monotonic_nanoseconds();
    if (deadline <= now) return false;
#if defined(__APPLE__)
    // Darwin has no monotonic clock for conditions, but a relative wait.
    int64_t remaining = deadline - now;
    struct timespec time = {.tv_sec = remaining / 1000000000, .tv_nsec = remaining % 1000000000};
    return pthread_cond_timedwait_relative_np(condition, lock, &time) != ETIMEDOUT;
#else
    struct timespec time = {.tv_sec = deadline / 1000000000, .tv_nsec = deadline % 1000000000};
    return pthread_cond_timedwait(condition, lock, &time) != ETIMEDOUT;
#endif
}
