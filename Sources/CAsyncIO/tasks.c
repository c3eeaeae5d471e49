#include "tasks.h"

#include <stdlib.h>

// Part of the runtime's binary interface: the compiler emits calls of it.
extern void *swift_task_getCurrent(void) __attribute__((swiftcall));

void *aio_current_task(void) { return swift_task_getCurrent(); }

bool aio_validates_continuations(void) { return getenv("SWIFT_DEBUG_VALIDATE_UNCHECKED_CONTINUATIONS") != NULL; }
