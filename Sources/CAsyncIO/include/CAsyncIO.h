// Facilities that Swift cannot express: thread-local storage, macros, calls that need _GNU_SOURCE, signal handlers.
//
// System calls return the result or -errno, so that errno is read in one place, immediately after the call.
// No header here defines _GNU_SOURCE, because that would change the C library's declarations for other modules.
#ifndef CASYNCIO_H
#define CASYNCIO_H

#include "bytes.h"
#include "condition.h"
#include "datagrams.h"
#include "environment.h"
#include "files.h"
#include "interrupt.h"
#include "loop_slot.h"
#include "system_calls.h"
#include "main_queue.h"
#include "pipes.h"
#include "signals.h"
#include "tasks.h"
#include "terminals.h"
#include "threads.h"
#include "unix_sockets.h"
#include "kqueue.h"
#include "lock.h"
#include "poll_wait.h"
#include "prefetch.h"
#include "select_wait.h"
#if defined(__linux__)
#include "epoll.h"
#include "io_uring.h"
#endif

#endif
