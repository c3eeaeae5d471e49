# More clients than descriptors.

# crowds NAME: `peers/crowd.py` against $pid, which may have 64 descriptors.
crowds() {
    local name=$1 base
    base=$(descriptors "$pid")
    # shellcheck disable=SC2046 # lines of name=value
    local $(python3 "$here/peers/crowd.py" "$port" "$pid")
    check "$name: with more clients than descriptors, those that are open go on" equal "${answered-0}" "${asked-?}"
    check "$name: ... without delay (the slowest answer took ${slowest_ms-?} ms)" at_most "${slowest_ms-9999}" 250
    check "$name: ... at little cost (${cpu_ms-?} ms of CPU time in 3 s)" at_most "${cpu_ms-9999}" 300
    check "$name: ... and when the others leave, new ones are served again (after ${recovery_ms-?} ms)" \
        at_most "${recovery_ms-9999}" 1200
    check "$name: all connections are gone" back_to "$pid" "$base"
}

for style in protocol stream; do
    WRAPPER="prlimit --nofile=64:64" start_aio "crowd-$style" echo --listen 127.0.0.1:0 --style "$style"
    crowds "echo, $style"
    lines=$(wc -l <"$tmp/crowd-$style.err")
    check "echo, $style: standard error has a line a second ($lines)" at_most "$lines" 5
    check "echo, $style: the line names the address and the reason" \
        matches "$(head -n 1 "$tmp/crowd-$style.err")" "127\.0\.0\.1:$port: Too many open files"
done

start_aio crowd-target echo --listen 127.0.0.1:0
target_port=$port
WRAPPER="prlimit --nofile=64:64" start_forward crowd-forward "$target_port"
crowds forward
lines=$(sed 's/ ([0-9]* more)$//' "$tmp/crowd-forward.err" | sort | uniq -c | sort -rn | awk '{ print $1; exit }')
check "forward: standard error has no sentence more than once a second ($lines)" at_most "${lines:-0}" 5
