// A detached thread with a name and with every signal blocked, so that signals go to threads that expect them.
#ifndef CASYNCIO_THREADS_H
#define CASYNCIO_THREADS_H

// Returns 0 or -errno.
int aio_thread_start(void (*_Nonnull body)(void *_Nonnull), void *_Nonnull argument, const char *_Nonnull name);

#endif
