#include "include/main_queue.h"

#include <stddef.h>

// What CoreFoundation's run loop uses on Linux. Weak, so that a program without libdispatch still links.
#if defined(__linux__)
extern int _dispatch_get_main_queue_handle_4CF(void) __attribute__((weak));
extern void _dispatch_main_queue_callback_4CF(void *message) __attribute__((weak));

int aio_main_queue_descriptor(void) {
    if (_dispatch_get_main_queue_handle_4CF == NULL || _dispatch_main_queue_callback_4CF == NULL) return -1;
    return _dispatch_get_main_queue_handle_4CF();
}

void aio_main_queue_drain(void) { _dispatch_main_queue_callback_4CF(NULL); }
#else
int aio_main_queue_descriptor(void) { return -1; }
void aio_main_queue_drain(void) {}
#endif
