// The loop slot of a thread: the loop that the thread is running, or NULL.
#ifndef CASYNCIO_LOOP_SLOT_H
#define CASYNCIO_LOOP_SLOT_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

// Not inline, because the optimiser may reuse the address of a thread-local variable after a suspension of an async
// function, which may have been resumed on another thread.
void *_Nullable aio_loop_slot_get(void);
void aio_loop_slot_set(void *_Nullable loop);

// Returns a number that identifies the calling thread until it ends.
uintptr_t aio_thread_identity(void);

// Whether the caller is the thread that entered main().
bool aio_is_main_thread(void);

// Writes the name of the calling thread to `buffer`, for messages.
void aio_thread_name(char *_Nonnull buffer, size_t size);

// One pointer per thread, which is destroyed when the thread ends.
void *_Nullable aio_thread_context_get(void);
void aio_thread_context_set(void *_Nonnull context, void (*_Nonnull destroy)(void *_Nonnull));

// After the call, a forked child has no running loop, and its `aio_fork_count` is one higher than that of its parent.
// Idempotent.
void aio_install_fork_handler(void);
uint32_t aio_fork_count(void);

#endif
