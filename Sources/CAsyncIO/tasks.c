#include "tasks.h"

#include <stdatomic.h>
#include <stdlib.h>

// Part of the runtime's stable binary interface: the compiler emits calls to it.
extern void *swift_task_getCurrent(void) __attribute__((swiftcall));

void *aio_current_task(void) { return swift_task_getCurrent(); }

bool aio_validates_continuations(void) { return getenv("SWIFT_DEBUG_VALIDATE_UNCHECKED_CONTINUATIONS") != NULL; }

typedef void (*handler_function)(__attribute__((swift_context)) void *context) __attribute__((swiftcall));

// Also part of the stable binary interface: inlinable code of the standard library calls both.
extern void *swift_task_addCancellationHandler(handler_function function, void *context) __attribute__((swiftcall));
extern void swift_task_removeCancellationHandler(void *handler) __attribute__((swiftcall));

static void (*_Atomic callback)(void *context);

static __attribute__((swiftcall)) void call_back(__attribute__((swift_context)) void *context) {
    atomic_load_explicit(&callback, memory_order_acquire)(context);
}

void aio_cancellation_set_callback(void (*function)(void *context)) {
    atomic_store_explicit(&callback, function, memory_order_release);
}

void *aio_cancellation_handler_add(void *context) { return swift_task_addCancellationHandler(call_back, context); }

void aio_cancellation_handler_remove(void *handler) { swift_task_removeCancellationHandler(handler); }
