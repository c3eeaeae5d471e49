// What the Swift runtime knows of the task that runs on the calling thread.
#ifndef CASYNCIO_TASKS_H
#define CASYNCIO_TASKS_H

#include <stdbool.h>

// The address of the task; NULL outside of tasks. `withUnsafeCurrentTask` returns the same, at ten times the cost.
void *_Nullable aio_current_task(void);

// Whether the runtime was asked to check that each continuation is resumed by its own function.
bool aio_validates_continuations(void);

// What the handlers of aio_cancellation_handler_add call with their context; one function for the process.
void aio_cancellation_set_callback(void (*_Nonnull callback)(void *_Nonnull context));

// Calls the callback when the current task is cancelled: on any thread, at once if it was cancelled before. Returns what
// aio_cancellation_handler_remove takes, which waits for a callback that is running. `withTaskCancellationHandler` does the same
// at three times the cost.
//
// The runtime allocates the handler on the task's stack: remove it in the async function that added it, and in the reverse
// order of adding.
void *_Nonnull aio_cancellation_handler_add(void *_Nonnull context);
void aio_cancellation_handler_remove(void *_Nonnull handler);

#endif
