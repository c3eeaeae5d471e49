# redis-benchmark through the forwarder: many small requests, with and without pipelining.

start_peer redis-port held_port.py
redis_port=$port
mkdir -p "$tmp/redis"
start redis redis-server --port "$redis_port" --bind 127.0.0.1 --save '' --appendonly no --dir "$tmp/redis"
redis_answers() { [[ $(redis-cli -h 127.0.0.1 -p "$1" ping) == PONG ]]; }
check "redis: the server answers" eventually redis_answers "$redis_port"

# By host name, so that every connection uses the resolver.
start_aio redis-forward forward --listen 127.0.0.1:0 --to "localhost:$redis_port"
forwarder=$pid
base=$(descriptors "$forwarder")
check "redis: it answers through the forwarder" redis_answers "$port"

# benchmark DEPTH REQUESTS: every command, without an error.
benchmark() {
    local status=0
    # In the foreground, so that Ctrl-C reaches it.
    timeout --foreground 1200 redis-benchmark -h 127.0.0.1 -p "$port" -q -n "$2" -c 50 -P "$1" \
        >"$tmp/benchmark-$1" 2>&1 || status=$?
    tr '\r' '\n' <"$tmp/benchmark-$1" >"$tmp/benchmark"
    if ((status != 0)) || grep -iE 'error|could not|closed' "$tmp/benchmark" \
        || ! grep -q 'requests per second' "$tmp/benchmark"; then
        echo "status $status"
        tail -n 5 "$tmp/benchmark"
        return 1
    fi
}
figures() {
    tr '\r' '\n' <"$tmp/benchmark-$1" | sed -nE 's/^(PING_MBULK|SET|GET|LRANGE_100)[: ].*requests per second.*/    &/p'
}

for depth in 1 16; do
    # Without pipelining each request is a round trip; sending all of them takes a few minutes on a slow machine.
    count=$((depth > 1 || requests < 5 ? requests : requests / 5))
    check "redis: $count requests of each kind, $depth at a time on 50 connections, without an error" benchmark "$depth" "$count"
    figures "$depth"
    check "redis: every descriptor is freed" back_to "$forwarder" "$base"
done
check "redis: the resolver's thread is gone" eventually has_threads "$forwarder" 1
check "redis: nothing on standard error" empty_file "$tmp/redis-forward.err"
pid=$forwarder
ended_well redis-forward INT "redis: SIGINT ends the forwarder" '^[0-9]+ connections, [0-9.]+ [KMG]iB, at most [0-9]+ open at once$'
