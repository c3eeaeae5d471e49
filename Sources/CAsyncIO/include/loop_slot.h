// The thread's loop slot: which loop, if any, this thread is running.
#ifndef CASYNCIO_LOOP_SLOT_H
#define CASYNCIO_LOOP_SLOT_H

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

// Functions, not inline ones: the optimiser may keep the address of a thread-local across a suspension of an async
// function, which then goes on in another thread and would read the first one's.
void *_Nullable aio_loop_slot_get(void);
void aio_loop_slot_set(void *_Nullable loop);

// A number that names the calling thread for as long as it lives.
uintptr_t aio_thread_identity(void);

// Whether the caller is the thread that entered main().
bool aio_is_main_thread(void);

// The name of the calling thread, for messages; never NULL.
void aio_thread_name(char *_Nonnull buffer, size_t size);

// One pointer per thread, destroyed when the thread ends.
void *_Nullable aio_thread_context_get(void);
void aio_thread_context_set(void *_Nonnull context, void (*_Nonnull destroy)(void *_Nonnull));

// From then on a forked child has no running loop, and `aio_fork_count` is one more there than in its parent. Idempotent.
void aio_install_fork_handler(void);
uint32_t aio_fork_count(void);

#endif
