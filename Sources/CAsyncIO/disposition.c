#define _GNU_SOURCE
#include "disposition.h"

#include <errno.h>
#include <string.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>

// The size of the kernel's signal set, a parameter of rt_sigaction(2).
enum { SET_BYTES = 8 };
#endif

int aio_disposition_exchange(int signal, const struct sigaction *action, struct aio_disposition *former) {
    memset(former, 0, sizeof *former);
#if defined(__linux__)
    struct sigaction seen;
    bool is_known = sigaction(signal, NULL, &seen) == 0 &&
                    syscall(SYS_rt_sigaction, signal, NULL, former->kernel, (size_t)SET_BYTES) == 0;
#endif
    if (sigaction(signal, action, &former->action) < 0) return -errno;
#if defined(__linux__)
    // Another thread may have changed it in between.
    former->is_exact = is_known && seen.sa_handler == former->action.sa_handler &&
                       seen.sa_flags == former->action.sa_flags;
#endif
    return 0;
}

int aio_disposition_restore(int signal, const struct aio_disposition *former) {
    // The C library is called first, because sanitizers intercept it and record the handler.
    if (sigaction(signal, &former->action, NULL) < 0) return -errno;
#if defined(__linux__)
    if (former->is_exact) (void)syscall(SYS_rt_sigaction, signal, former->kernel, NULL, (size_t)SET_BYTES);
#endif
    return 0;
}
