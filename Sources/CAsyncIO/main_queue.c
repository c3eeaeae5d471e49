#include "include/loop_slot.h"
#include "include/main_queue.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#if defined(__linux__)
#include <sys/eventfd.h>
#include <unistd.h>
#endif

// The functions that CoreFoundation's run loop uses on Linux. Weak, so that programs without libdispatch link.
#if defined(__linux__)
extern int _dispatch_get_main_queue_handle_4CF(void) __attribute__((weak));
extern void _dispatch_main_queue_callback_4CF(void *message) __attribute__((weak));

int aio_main_queue_descriptor(void) {
    if (_dispatch_get_main_queue_handle_4CF == NULL || _dispatch_main_queue_callback_4CF == NULL) return -ENOENT;
    // A forked child cannot use libdispatch, and shares the descriptor with its parent. Its thread is a main thread.
    if (aio_fork_count() > 0) return -ENOENT;
    // The first call creates the descriptor, and traps if that fails.
    static bool is_created;
    if (!is_created) {
        int probe = eventfd(0, EFD_CLOEXEC);
        if (probe < 0) return -errno;
        close(probe);
        is_created = true;
    }
    return _dispatch_get_main_queue_handle_4CF();
}

void aio_main_queue_drain(void) { _dispatch_main_queue_callback_4CF(NULL); }
#else
int aio_main_queue_descriptor(void) { return -ENOENT; }
void aio_main_queue_drain(void) {}
#endif
