# Much load on `aio echo`: a slow reader, resets, connections that come and go, idle connections.
# covers: F9, F15, F16, F68

# ASYNCIO_LOAD=full: a GiB for the slow reader, and 18,000 idle connections. poll looks at each of them in every wait, and select
# has 1,024 descriptors.
slow_mib=48 resets=2000 cycles=2000 idle=2000
case ${loop/#auto/$default_loop} in
    epoll | io_uring) resets=5000 cycles=10000 idle=5000 ;;
esac
if [[ ${ASYNCIO_LOAD-} == full ]]; then slow_mib=1024 resets=5000 cycles=10000 idle=18000; fi
case $loop in
    poll) idle=$((idle < 5000 ? idle : 5000)) ;;
    select) idle=900 ;;
esac

most_descriptors=$(ulimit -Hn)
if [[ $most_descriptors != unlimited ]] && ((idle + 500 > most_descriptors)); then
    echo "    $idle idle connections are too many for this system's limit of $most_descriptors descriptors"
    idle=$((most_descriptors - 500))
fi

# load MODE COUNT: against $pid. Sets a variable for each figure; prints what the client says if it fails.
load() {
    local output
    growth_kib=0 bytes_per_connection=0 ping_ms=0 accept_ms=0 lost=0 failure=""
    output=$(python3 "$here/peers/load.py" "$1" "$2" "$port" "$pid" 2>&1) || failure=${output:-failed}
    [[ -n $failure ]] || eval "$output"
}
succeeded() { equal "$failure" ""; }

start_loaded() {
    WRAPPER="prlimit --nofile=$most_descriptors:$most_descriptors" \
        start_aio "$1" echo --listen 127.0.0.1:0 --style "$style"
    base=$(descriptors "$pid")
}

# ends_loaded NAME: nothing is left, and nothing was printed.
ends_loaded() {
    check "... every descriptor is freed" back_to "$pid" "$base"
    check "... nothing on standard error" empty_file "$tmp/$1.err"
    stop TERM "$pid"
    check "... SIGTERM ends it with status 0" equal "$status" 0
}

for style in protocol stream; do
    start_loaded "load-$style"
    load slow "$slow_mib"
    check "load, $style: $slow_mib MiB come back exactly to a client that reads slowly" succeeded
    # The write buffer's high-water mark, a chunk, and 8 MiB.
    check "... in bounded memory ($growth_kib KiB more)" at_most "$growth_kib" $((64 + 256 + 8192))

    load resets "$resets"
    check "load, $style: after $resets connections that were reset, a client is served" succeeded
    check "... every descriptor is freed" back_to "$pid" "$base"

    load churn "$cycles"
    check "load, $style: $cycles connections come and go" succeeded
    check "... and so does their memory ($growth_kib KiB more)" at_most "$growth_kib" 1024
    ends_loaded "load-$style"

    start_loaded "idle-$style"
    load idle "$idle"
    check "load, $style: $idle connections are open at the same time" succeeded
    check "... for at most 8 KiB each ($bytes_per_connection bytes)" at_most "$bytes_per_connection" 8192
    # A busy machine delays some; with a server that does work for each idle connection, all are late.
    check "... a message is answered (19 of 20 within $ping_ms ms)" at_most "$ping_ms" 250
    check "... and a new client (19 of 20 within $accept_ms ms)" at_most "$accept_ms" 250
    check "... none is lost" equal "$lost" 0
    ends_loaded "idle-$style"
done
