# More clients than descriptors.
# covers: 166, F1

few_descriptors="prlimit --nofile=64:64"

# accepts_to FILE: a wrapper that writes the program's accepts there. The program is our child, not strace's (-D), and pays
# for no other calls (--seccomp-bpf), so that its CPU time is its own.
accepts_to() {
    echo "strace -D -f -qq --seccomp-bpf -e trace=accept,accept4 -e signal=none -o $1"
}

# A full server rests 100 ms after each: 30 in 3 s, and a half more for a clock that is not ours. None: the trace is broken.
few_failed() {
    (($1 >= 1 && $1 <= 45)) || { echo "$1 is not from 1 to 45"; return 1; }
}

# crowds NAME [TRACE]: `peers/crowd.py` against $pid, which has few descriptors, and writes its accepts to TRACE.
crowds() {
    local name=$1 trace=${2-} base
    base=$(descriptors "$pid")
    # shellcheck disable=SC2046 # lines of name=value
    local $(python3 "$here/peers/crowd.py" "$port" "$pid" ${trace:+"$trace"})
    check "$name: with more clients than descriptors, those that are open go on" equal "${answered-0}" "${asked-?}"
    check "$name: ... without delay (the slowest answer took ${slowest_ms-?} ms)" at_most "${slowest_ms-9999}" 250
    check "$name: ... at little cost (${cpu_ms-?} ms of CPU time in 3 s)" at_most "${cpu_ms-9999}" 150
    if [[ -n $trace ]]; then
        check "$name: ... in few attempts (${failed_accepts-?} accepts failed in 3 s)" few_failed "${failed_accepts-9999}"
    fi
    check "$name: ... and when the others leave, new ones are served again (after ${recovery_ms-?} ms)" \
        at_most "${recovery_ms-9999}" 1000
    check "$name: all connections are gone" back_to "$pid" "$base"
}

for style in protocol stream; do
    WRAPPER="$(accepts_to "$tmp/crowd-$style.trace") $few_descriptors" \
        start_aio "crowd-$style" echo --listen 127.0.0.1:0 --style "$style"
    crowds "echo, $style" "$tmp/crowd-$style.trace"
    lines=$(wc -l <"$tmp/crowd-$style.err")
    check "echo, $style: standard error has a line a second ($lines)" at_most "$lines" 5
    check "echo, $style: the line names the address and the reason" \
        matches "$(head -n 1 "$tmp/crowd-$style.err")" "127\.0\.0\.1:$port: Too many open files"
done

start_aio crowd-target echo --listen 127.0.0.1:0
target_port=$port
WRAPPER=$few_descriptors start_forward crowd-forward "$target_port"
crowds forward
# It is the target's descriptor that is missing, or the client's: each client takes two, so that depends on what is free.
check "forward: standard error names the address and the reason" \
    matches "$(head -n 1 "$tmp/crowd-forward.err")" "127\.0\.0\.1:($target_port|$port): Too many open files$"
lines=$(sed 's/ ([0-9]* more)$//' "$tmp/crowd-forward.err" | sort | uniq -c | sort -rn | awk '{ print $1; exit }')
check "forward: standard error has no sentence more than once a second ($lines)" at_most "${lines:-0}" 5
