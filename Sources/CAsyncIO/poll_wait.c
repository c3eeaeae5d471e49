#define _GNU_SOURCE
#include "include/poll_wait.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#if defined(__linux__)
_Static_assert(POLLRDHUP == 0x2000, "the header defines this value");
#endif

static int result(int value) { return value < 0 ? -errno : value; }

int aio_poll_wait(struct pollfd *entries, int count, int64_t nanoseconds) {
    if (nanoseconds <= 0) return result(poll(entries, (nfds_t)count, nanoseconds < 0 ? -1 : 0));

#if defined(__linux__)
    // Some sandboxes do not allow ppoll.
    static bool lacks_nanoseconds;
    if (!__atomic_load_n(&lacks_nanoseconds, __ATOMIC_RELAXED)) {
        struct timespec timeout = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
        int ready = ppoll(entries, (nfds_t)count, &timeout, NULL);
        if (ready >= 0) return ready;
        if (errno != ENOSYS && errno != EPERM) return -errno;
        __atomic_store_n(&lacks_nanoseconds, true, __ATOMIC_RELAXED);
    }
#endif
    // Rounded up, because after a wait that ends before the deadline the loop would spin until the deadline.
    int64_t milliseconds = nanoseconds / 1000000 + (nanoseconds % 1000000 != 0);
    return result(poll(entries, (nfds_t)count, milliseconds > INT_MAX ? INT_MAX : (int)milliseconds));
}
