// Detached threads with a name. They block all signals, so that signals are delivered to other threads.
#ifndef CASYNCIO_THREADS_H
#define CASYNCIO_THREADS_H

// Starts a thread. Linux shows the first 15 bytes of the name. Returns 0 or -errno.
int aio_thread_start(void (*_Nonnull body)(void *_Nonnull), void *_Nonnull argument, const char *_Nonnull name);

#endif
