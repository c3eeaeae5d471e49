# More clients than descriptors.
# covers: 166, F1

few_descriptors="prlimit --nofile=64:64"

# traced_to FILE: a wrapper that writes the program's accepts and waits there. The program is a child of this script, not of strace (-D).
traced_to() {
    echo "strace -D -f -qq --seccomp-bpf -e signal=none" \
        "-e trace=accept,accept4,?epoll_wait,epoll_pwait,?epoll_pwait2,?poll,ppoll,?select,pselect6,?io_uring_enter -o $1"
}

# few_failed COUNT MILLISECONDS LEAST: a full server backs off for 100 ms after each, so there are ten in a second; half as
# many more are allowed for inexact clocks.
few_failed() {
    (($1 >= $3 && $1 * 1000 <= $2 * 15)) || { echo "$1 in $2 ms is not from $3 to 15 a second"; return 1; }
}

# crowds NAME TRACE LEAST: `peers/crowd.py` against $pid, which has few descriptors and writes its accepts and waits to TRACE;
# at least LEAST accepts fail.
crowds() {
    local name=$1 base
    base=$(descriptors "$pid")
    # shellcheck disable=SC2046 # lines of name=value
    local $(python3 "$here/peers/crowd.py" "$port" "$2")
    check "$name: with more clients than descriptors, the open connections continue" equal "${answered-0}" "${asked-?}"
    # Not all of them: a busy machine delays one of them, a server that blocks during its back-off delays each.
    check "$name: ... without delay (19 of 20 answers came within ${most_within_ms-?} ms)" at_most "${most_within_ms-9999}" 250
    # A message goes through two connections of a forwarder; twice that, and the arrival of the crowd, are allowed. A server that
    # does not back off polls thousands of times.
    check "$name: ... at little cost (${waits-?} waits for ${asked-?} answers and ${failed_accepts-?} failed accepts)" \
        at_most "${waits-9999}" $((4 * (${asked-0} + ${failed_accepts-0}) + 200))
    # The accepts of a ring are no system calls, so strace counts none. The number of waits bounds them, because each attempt
    # needs one.
    [[ ${loop/#auto/$default_loop} == io_uring ]] || check "$name: ... in few attempts (${failed_accepts-?} accepts failed in ${took_ms-?} ms)" \
        few_failed "${failed_accepts-9999}" "${took_ms-1}" "$3"
    check "$name: ... and when the others leave, new clients are served again (after ${recovery_ms-?} ms)" \
        at_most "${recovery_ms-9999}" 1000
    check "$name: all connections are closed" back_to "$pid" "$base"
}

# few_lines COUNT SECONDS: one line for each second that it took, the first one, and one for truncated seconds.
few_lines() {
    at_most "$1" $(($2 + 2))
}

for style in protocol stream; do
    began=$SECONDS
    WRAPPER="$(traced_to "$tmp/crowd-$style.trace") $few_descriptors" \
        start_aio "crowd-$style" echo --listen 127.0.0.1:0 --style "$style"
    crowds "echo, $style" "$tmp/crowd-$style.trace" 1
    lines=$(wc -l <"$tmp/crowd-$style.err")
    check "echo, $style: standard error has a line a second ($lines)" few_lines "$lines" $((SECONDS - began))
    check "echo, $style: the line names the address and the reason" \
        matches "$(head -n 1 "$tmp/crowd-$style.err")" "accept on 127\.0\.0\.1:$port failed: too many open files; backing off for 100 ms"
done

start_aio crowd-target echo --listen 127.0.0.1:0
target_port=$port
began=$SECONDS
WRAPPER="$(traced_to "$tmp/crowd-forward.trace") $few_descriptors" start_forward crowd-forward "$target_port"
# Either the descriptor for the target is missing or the one for the client: each client takes two, so it depends on how many
# are free. If all clients are accepted and the connects to the target fail, no accept fails.
crowds forward "$tmp/crowd-forward.trace" 0
check "forward: standard error names the address and the reason" \
    matches "$(head -n 1 "$tmp/crowd-forward.err")" "(127\.0\.0\.1:$target_port: Too many|accept on 127\.0\.0\.1:$port failed: too many) open files"
lines=$(sed 's/ ([0-9]* more)$//' "$tmp/crowd-forward.err" | sort | uniq -c | sort -rn | awk '{ print $1; exit }')
check "forward: standard error has no message more than once a second ($lines)" few_lines "${lines:-0}" $((SECONDS - began))
