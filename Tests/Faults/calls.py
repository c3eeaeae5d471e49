"""The system calls of the programs under test: the errors that each may return, or why none is injected.

An error that strace injects stands for a call that was not made. So only errors are listed after which the kernel has done
nothing either, and no counts of bytes that were not moved: `short_counts.c` has those. The errors are those of the man pages.
"""

# How a program must take an error.
QUIETLY = "quietly"  # As if nothing had happened: every byte arrives, and standard error stays empty.
REPORTED = "reported"  # It may cost the connection or the start, which the program reports with the system's reason.
PEER = "peer"  # It may cost the connection. The error says that the peer or the network has ended it: no report is due.
READER = "reader"  # It may end the program with status 0 and no report: nobody reads its output any more.
DROPPED = "dropped"  # It may cost the client that is being accepted, and no report is due.
ENDS = "ends"  # As REPORTED; the loop cannot continue, so the program may end with status 1.

INTERRUPTED = {"EINTR": QUIETLY}
# What any call on sockets may return when the system is short of memory.
MEMORY = {"ENOMEM": REPORTED, "ENOBUFS": REPORTED}
NO_DESCRIPTOR = {"EMFILE": REPORTED, "ENFILE": REPORTED}
WOULD_BLOCK = {"EAGAIN": QUIETLY}
LOST = {"ECONNRESET": PEER, "ETIMEDOUT": PEER}

# call: its errors.
ERRORS = {
    "socket": {"EMFILE": REPORTED, **MEMORY, "ENFILE": REPORTED, "EACCES": REPORTED, "EAFNOSUPPORT": REPORTED},
    "socketpair": {"EMFILE": REPORTED, "ENOMEM": REPORTED},
    "bind": {"EADDRINUSE": REPORTED, "ENOMEM": REPORTED, "EACCES": REPORTED, "EADDRNOTAVAIL": REPORTED},
    "listen": {"EADDRINUSE": REPORTED, "ENOBUFS": REPORTED, "EOPNOTSUPP": REPORTED},
    "accept4": {
        **INTERRUPTED, **WOULD_BLOCK, "ECONNABORTED": QUIETLY, "ENOMEM": REPORTED, "EMFILE": REPORTED, "ENOBUFS": REPORTED,
        "ENFILE": REPORTED, "EPROTO": QUIETLY, "EPERM": QUIETLY, "ENETDOWN": QUIETLY, "EHOSTUNREACH": QUIETLY,
        "EINVAL": QUIETLY},
    "connect": {
        **INTERRUPTED, "ECONNREFUSED": REPORTED, **MEMORY, "ETIMEDOUT": REPORTED, "ENETUNREACH": REPORTED,
        "EADDRNOTAVAIL": REPORTED, "EAGAIN": REPORTED},
    "getsockname": {"ENOBUFS": REPORTED},
    "getpeername": {"ENOBUFS": REPORTED, "ENOTCONN": PEER},
    "setsockopt": {"ENOMEM": REPORTED, "ENOBUFS": REPORTED, "EINVAL": DROPPED, "ENOPROTOOPT": REPORTED},
    "getsockopt": {"ENOBUFS": REPORTED, "ENOMEM": REPORTED},
    "recvfrom": {**INTERRUPTED, **WOULD_BLOCK, "ENOMEM": REPORTED, **LOST, "ENOBUFS": REPORTED, "ECONNREFUSED": REPORTED},
    "recvmsg": {**INTERRUPTED, **WOULD_BLOCK, "ENOMEM": REPORTED, **LOST, "ENOBUFS": REPORTED},
    "recvmmsg": {**INTERRUPTED, **WOULD_BLOCK, **MEMORY, "ECONNREFUSED": REPORTED, "EHOSTUNREACH": REPORTED},
    "sendto": {**INTERRUPTED, **WOULD_BLOCK, "EPIPE": PEER, "ENOMEM": REPORTED, "ENOBUFS": REPORTED, **LOST},
    "sendmsg": {**INTERRUPTED, **WOULD_BLOCK, "EPIPE": PEER, "ENOMEM": REPORTED, "ENOBUFS": REPORTED, **LOST},
    "sendmmsg": {
        **INTERRUPTED, **WOULD_BLOCK, **MEMORY, "ECONNREFUSED": REPORTED, "ENETUNREACH": REPORTED, "EPERM": REPORTED,
        "EMSGSIZE": REPORTED, "EINVAL": REPORTED},
    # What cannot be sent from the file is copied: sendfile(2).
    "sendfile": {
        **INTERRUPTED, **WOULD_BLOCK, "EIO": REPORTED, "ENOMEM": REPORTED, "EINVAL": QUIETLY, "ENOSYS": QUIETLY,
        "EOVERFLOW": QUIETLY, "EPIPE": PEER, **LOST},
    # Of the file that was sent, whose position nothing depends on.
    "lseek": {"EINVAL": QUIETLY},
    # Not ENOTCONN: the connection has ended then, which strace cannot imitate.
    "shutdown": {"ENOBUFS": REPORTED, "ENOMEM": REPORTED},
    "epoll_create1": {"EMFILE": REPORTED, "ENFILE": REPORTED, "ENOMEM": REPORTED},
    "epoll_ctl": {"ENOMEM": REPORTED, "ENOSPC": REPORTED},
    "epoll_wait": {**INTERRUPTED, "EINVAL": ENDS},
    "epoll_pwait2": {**INTERRUPTED, "ENOSYS": QUIETLY, "EPERM": QUIETLY, "EINVAL": ENDS},
    "poll": {**INTERRUPTED, "ENOMEM": ENDS, "EINVAL": ENDS},
    "ppoll": {**INTERRUPTED, "ENOMEM": ENDS, "ENOSYS": QUIETLY, "EPERM": QUIETLY},
    "pselect6": {**INTERRUPTED, "ENOMEM": ENDS, "EINVAL": ENDS},
    "eventfd2": {"EMFILE": REPORTED, "ENFILE": REPORTED, "ENOMEM": REPORTED},
    "pipe2": {"EMFILE": REPORTED, "ENFILE": REPORTED},
    "read": {**INTERRUPTED, **WOULD_BLOCK, "EIO": REPORTED},
    "write": {**INTERRUPTED},
    # With a flag that not every file takes: then the call is made without it, when poll(2) says that it does not wait.
    "preadv2": {**INTERRUPTED, **WOULD_BLOCK, "EOPNOTSUPP": QUIETLY, "ENOSYS": QUIETLY},
    "pwritev2": {**INTERRUPTED, **WOULD_BLOCK, "EOPNOTSUPP": QUIETLY, "ENOSYS": QUIETLY, "EPIPE": READER},
    "writev": {**INTERRUPTED, **WOULD_BLOCK, "EPIPE": READER, "EIO": REPORTED, "ENOMEM": REPORTED},
    "fcntl": {"EINVAL": REPORTED, "ENOMEM": REPORTED},
    "fstat": {"ENOMEM": REPORTED},
    "rt_sigaction": {"EINVAL": REPORTED},
    # The file of a unix socket, and the lock beside it.
    "openat": {"EINTR": REPORTED, "EMFILE": REPORTED, "EACCES": REPORTED, "ENOSPC": REPORTED},
    "newfstatat": {"ENOMEM": REPORTED, "EACCES": REPORTED},
    "flock": {"EINTR": REPORTED, "ENOLCK": REPORTED},
    "unlink": {"EACCES": REPORTED, "EIO": REPORTED, "ENOENT": QUIETLY},
}

# What `loop.sock.accept` reports to the program, and a server of the library takes as the end of one client.
OF_ANY_CLIENT = ["EPERM", "EINVAL"]

# The calls that watch a descriptor. A server that has one socket for all datagrams ends when that cannot be watched.
WATCH = {"epoll_ctl", "fcntl"}

# A datagram program calls them with one datagram, whose loss is reported in any case.
OF_DATAGRAMS = {"sendto": "sendmmsg", "sendmsg": "sendmmsg", "recvfrom": "recvmmsg", "recvmsg": "recvmmsg"}

# Results that are no errors: a wait that ends early and reports nothing.
RESULTS = {call: {"0": QUIETLY} for call in ["epoll_wait", "epoll_pwait2", "poll", "ppoll", "pselect6"]}

MEMORY_OF_THE_PROCESS = "memory of the allocator: a Swift program without memory ends"
CANNOT_FAIL = "cannot fail"
LOADER = "of the loader and the runtime, before the program begins"
NO_DECISION = "its failure is an answer too: the file is no terminal"
# call: why nothing is injected into it.
EXEMPT = {
    "close": "the kernel closes the descriptor in any case, which strace cannot imitate; short_counts.c does",
    **dict.fromkeys(["mmap", "munmap", "mprotect", "brk", "madvise", "mremap"], MEMORY_OF_THE_PROCESS),
    **dict.fromkeys(["getpid", "gettid", "getuid", "exit_group", "exit", "rt_sigreturn", "sched_yield"], CANNOT_FAIL),
    **dict.fromkeys(["rt_sigprocmask", "sigaltstack", "futex", "clock_gettime", "restart_syscall"], CANNOT_FAIL),
    **dict.fromkeys(
        ["execve", "access", "arch_prctl", "set_tid_address", "set_robust_list", "rseq", "pread64", "readlink",
         "sched_getaffinity", "getrandom", "prlimit64", "clone3", "clone", "prctl", "uname",
         "sysinfo", "getcwd"], LOADER),
    "ioctl": NO_DECISION,
    "rt_sigtimedwait": "takes the SIGPIPE of a write that has failed; without one, its failure is the answer",
    "pwrite64": "of the test's own server: it fills the file that it sends",
    "clock_nanosleep": "a pause before the lock beside a socket file is tried again",
}


# Errors that strace cannot imitate on one loop. The kernel reports room for sending only if a send has found none. The first
# client makes real sends block, which `plan.DryRun` checks. A datagram program asks for the first report by then.
NOT_ON = {("epoll", call, "EAGAIN") for call in ["sendto", "sendmsg", "sendfile"]}

# library: why nothing is injected into the calls that it makes itself.
EXEMPT_LIBRARIES = {"libdispatch.so": "it ends the program; the loop has tried the same call just before"}


def errors_of(call, loop, program):
    """Returns (strace's injection, its name, how the program must take it) of each fault of a call."""
    errors = ERRORS[OF_DATAGRAMS.get(call, call) if program.is_datagram else call]
    if call == "accept4" and program.accepts_itself:
        errors = {**errors, **dict.fromkeys(OF_ANY_CLIENT, REPORTED)}
    if call in WATCH and program.is_datagram and not program.connects:
        errors = {error: ENDS if manner == REPORTED else manner for error, manner in errors.items()}
    faults = [
        (f"error={error}", error, manner) for error, manner in errors.items()
        if program.is_datagram or (loop, call, error) not in NOT_ON]
    return faults + [(f"retval={value}", value, manner) for value, manner in RESULTS.get(call, {}).items()]


def is_known(call):
    return call in ERRORS or call in EXEMPT
