# Much data through every kind of stream to a reader that is slow or stops: memory is bounded by the water marks.
# ASYNCIO_LOAD=full: a GiB.

slow_mib=$size_mib
if [[ ${ASYNCIO_LOAD-} == full ]]; then slow_mib=$((size_mib * 4)); fi
# The high water mark, a received chunk and what the allocator holds; a stream of this size without a bound would need it all.
most_kib=$((8 * 1024))

# stays_small ARGUMENTS-OF-SLOW-READER...
stays_small() {
    local gained
    gained=$(python3 "$here/peers/slow_reader.py" "$slow_mib" "$@") || return
    at_most "$gained" "$most_kib"
}

for style in protocol stream; do
    start_aio "slow-tcp-$style" echo --listen 127.0.0.1:0 --style "$style"
    check "slow readers: $slow_mib MiB over TCP, $style" stays_small tcp "$port" "$pid"
    start_aio "slow-unix-$style" echo --listen "unix:$tmp/slow-$style.sock" --style "$style"
    check "slow readers: $slow_mib MiB over a unix socket, $style" stays_small unix "$tmp/slow-$style.sock" "$pid"
done
check "slow readers: $slow_mib MiB through pipes and a unix socket" \
    stays_small pipes "$aio" connect "unix:$tmp/slow-protocol.sock" --loop "$loop"
