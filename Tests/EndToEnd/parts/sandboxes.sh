# A sandbox or a kernel that refuses a back end: `aio loops` says why, and the default loop works.

# refusing CALLS ERROR COMMAND...: the system calls of the command fail.
refusing() {
    strace -D -f -qq -o /dev/null -e "inject=$1:error=$2" "${@:3}"
}
# start_refusing NAME CALLS ERROR COMMAND...: the same in the background. The command itself is the child, so that it can be
# ended.
start_refusing() {
    start "$1" strace -D -f -qq -o /dev/null -e "inject=$2:error=$3" "${@:4}"
}
if ! refusing epoll_create1 EPERM true 2>/dev/null; then
    echo "NOT RUN: this system does not let strace refuse system calls"
    return 0
fi

default_row() { refusing "$1" "$2" "$aio" loops | awk '$4 == "yes" { print $1 }'; }
reason_of() { refusing "$1" "$2" "$aio" loops | sed -nE "s/^$3 +[a-z]+ +no +//p"; }
json_reason_of() {
    refusing "$1" "$2" "$aio" loops --json | python3 -c '
import json, sys
print(*(row["reason"] for row in json.load(sys.stdin) if row["name"] == sys.argv[1] and not row["available"]))' "$3"
}

# refuses_to_serve CALLS ERROR MESSAGE ARGUMENT...: one message, status 1.
refuses_to_serve() {
    local status=0
    timeout "$patience" strace -D -f -qq -o /dev/null -e "inject=$1:error=$2" \
        "$aio" echo --listen 127.0.0.1:0 "${@:4}" >"$tmp/sandbox.out" 2>"$tmp/sandbox.err" || status=$?
    equal "$status" 1 && matches "$(<"$tmp/sandbox.err")" "^aio: $3\$" && empty_file "$tmp/sandbox.out"
}

# io_uring is refused: io_uring_is_refused CALL ERROR REASON MESSAGE
io_uring_is_refused() {
    local refused="$1 with $2" name="sandbox-$1-$2" line
    check "sandboxes: $refused: the table says why io_uring is refused" matches "$(reason_of "$1" "$2" io_uring)" "^refused: $3\$"
    check "... and the JSON" equal "$(json_reason_of "$1" "$2" io_uring)" "$(reason_of "$1" "$2" io_uring)"
    check "... epoll is the default" equal "$(default_row "$1" "$2")" epoll
    start_refusing "$name" "$1" "$2" "$aio" echo --listen 127.0.0.1:0
    line=$(first_line "$name")
    check "... and serves" matches "$line" ' \(epoll\)$'
    port=${line##*:}
    check "... clients too" equal "$(echo here | socat -t"$patience" - "TCP:127.0.0.1:${port%% *}")" here
    check "... quietly" empty_file "$tmp/$name.err"
    check "... --loop io_uring says why not" refuses_to_serve "$1" "$2" "$4" --loop io_uring
}
unavailable="the event loop 'io_uring' is not available: "
forbidden="is forbidden, by kernel.io_uring_disabled or a sandbox such as a container's seccomp filter \(Operation not permitted\)"
hidden="does not exist in the kernel, or a sandbox hides it \(Function not implemented\)"
for call in io_uring_setup io_uring_register io_uring_enter; do
    named="$call( \(IORING_[A-Z_]+\))?"
    io_uring_is_refused "$call" EPERM "$named $forbidden" "$unavailable$named $forbidden"
    io_uring_is_refused "$call" ENOSYS "$named $hidden" "$unavailable$named $hidden"
done
io_uring_is_refused io_uring_setup EINVAL "the kernel is older than Linux 6\.1 \(io_uring_setup: Invalid argument\)" \
    "${unavailable}the kernel is older than Linux 6\.1 \(io_uring_setup: Invalid argument\)"
# These may pass.
io_uring_is_refused io_uring_setup ENOMEM \
    "io_uring_setup failed: Cannot allocate memory; the memory of a ring may count towards RLIMIT_MEMLOCK" \
    "cannot create the proactor of an event loop, whose memory may count towards RLIMIT_MEMLOCK: Cannot allocate memory"
io_uring_is_refused io_uring_setup EMFILE "io_uring_setup failed: Too many open files" \
    "cannot create the proactor of an event loop: Too many open files \(.*\)"

named_by_variable() { ASYNCIO_LOOP=io_uring refuses_to_serve "$@"; }
check "sandboxes: ASYNCIO_LOOP=io_uring says why not" named_by_variable io_uring_setup EPERM \
    "ASYNCIO_LOOP: ${unavailable}io_uring_setup $forbidden; use one of auto, epoll, poll, select"

# Without io_uring and epoll, and then without poll too, the next best loop is used.
without_epoll=io_uring_setup,epoll_create1
without_poll=$without_epoll,?poll,ppoll
check "sandboxes: without epoll, poll is the default" equal "$(default_row $without_epoll EPERM)" poll
check "... and epoll says that it was refused" equal "$(reason_of $without_epoll EPERM epoll)" "refused: epoll failed: Operation not permitted"
check "... --loop epoll too" refuses_to_serve $without_epoll EPERM \
    "the event loop 'epoll' is not available: epoll failed: Operation not permitted" --loop epoll
check "sandboxes: without epoll and poll, select is the default" equal "$(default_row $without_poll EPERM)" select
start_refusing sandbox-select $without_poll EPERM "$aio" echo --listen 127.0.0.1:0
check "... and serves" matches "$(first_line sandbox-select)" ' \(select\)$'

# A loop that nobody asked for is not tried, because a filter may end the process instead.
start sandbox-untried strace -D -f -qq -o "$tmp/untried.calls" -e trace=/io_uring "$aio" echo --listen 127.0.0.1:0
check "sandboxes: the default loop makes no call of io_uring" matches "$(first_line sandbox-untried)" ' \(epoll\)$'
check "... not one" empty_file "$tmp/untried.calls"
