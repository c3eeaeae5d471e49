// What the Swift runtime knows of the task that runs on the calling thread.
#ifndef CASYNCIO_TASKS_H
#define CASYNCIO_TASKS_H

#include <stdbool.h>

// The address of the task; NULL outside of tasks. `withUnsafeCurrentTask` returns the same, at ten times the cost.
void *_Nullable aio_current_task(void);

// Whether the runtime was asked to check that each continuation is resumed by its own function.
bool aio_validates_continuations(void);

#endif
