// The main dispatch queue, for a loop that runs on the main thread. It receives the jobs of @MainActor.
#ifndef CASYNCIO_MAIN_QUEUE_H
#define CASYNCIO_MAIN_QUEUE_H

// Returns a descriptor that becomes readable when the main queue has work; -ENOENT if there is no main queue, as in a
// forked child; or -errno if the descriptor cannot be created. Call on the main thread.
int aio_main_queue_descriptor(void);

// Runs the jobs of the main queue. Call on the main thread, and never within a job.
void aio_main_queue_drain(void);

#endif
