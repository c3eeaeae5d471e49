// Functions of the Swift runtime for the task that runs on the calling thread.
#ifndef CASYNCIO_TASKS_H
#define CASYNCIO_TASKS_H

#include <stdbool.h>

// Returns the address of the task; NULL outside of tasks. `withUnsafeCurrentTask` does the same at ten times the cost.
void *_Nullable aio_current_task(void);

// Whether the runtime checks that each continuation is resumed by its own function
// (SWIFT_DEBUG_VALIDATE_UNCHECKED_CONTINUATIONS).
bool aio_validates_continuations(void);

// Sets the function that the handlers of aio_cancellation_handler_add call with their context; one for the process.
void aio_cancellation_set_callback(void (*_Nonnull callback)(void *_Nonnull context));

// Calls the callback when the current task is cancelled: on any thread, and at once if it was cancelled before. Returns
// a handle for aio_cancellation_handler_remove, which waits for a callback that is running.
// `withTaskCancellationHandler` does the same at three times the cost.
//
// The runtime allocates the handler on the task's stack: remove it in the async function that added it, and in the
// reverse order of adding.
void *_Nonnull aio_cancellation_handler_add(void *_Nonnull context);
void aio_cancellation_handler_remove(void *_Nonnull handler);

#endif
