// The main dispatch queue, for a loop that runs on the main thread: @MainActor's jobs arrive there.
#ifndef CASYNCIO_MAIN_QUEUE_H
#define CASYNCIO_MAIN_QUEUE_H

// A descriptor that becomes readable when the main queue has work; -ENOENT where there is no main queue, or -errno where its
// descriptor cannot be created. Only on the main thread.
int aio_main_queue_descriptor(void);

// Runs what is on the main queue. Only on the main thread, and never from within a job.
void aio_main_queue_drain(void);

#endif
