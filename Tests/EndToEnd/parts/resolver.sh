# While a name server is slow, the loop serves its connections.

gate=$tmp/no-answers
cc -shared -fPIC -o "$tmp/slow_getaddrinfo.so" "$here/peers/slow_getaddrinfo.c" -ldl
slow_resolver="env LD_PRELOAD=$tmp/slow_getaddrinfo.so SLOW_GETADDRINFO_GATE=$gate"

start_aio slow-target echo --listen 127.0.0.1:0
target_port=$port
WRAPPER=$slow_resolver start_aio slow forward --listen 127.0.0.1:0 --to "target.slow:$target_port"
forwarder=$pid base=$(descriptors "$pid")
check "resolver: there is no lookup before the name is needed" has_threads "$pid" 1

rm -f "$gate"
check "resolver: an open connection is served while names are looked up" \
    python3 "$here/peers/clients.py" beside-lookups "$port" "$forwarder" "$gate"
check "resolver: its threads are gone, and the connections too" eventually has_threads "$pid" 1
check "resolver: every descriptor is freed" back_to "$forwarder" "$base"

# From now on the name server does not answer.
touch "$gate"
start_client slow-waiting idle
pid=$forwarder
check "resolver: one more thread while a name is looked up" eventually has_threads "$pid" 2
ended_well slow TERM "resolver: SIGTERM ends it within a second, in the middle of a lookup" '^[0-9]+ connections, '

# shellcheck disable=SC2086 # a command and its arguments
start slow-listen $slow_resolver "$aio" echo --listen here.slow:0 --loop "$loop"
check "resolver: a name to listen on is looked up" eventually has_threads "$pid" 2
stop TERM "$pid"
check "resolver: SIGTERM ends it within a second, before it listens" ended_in_time
check "... and prints a summary" matches "$(<"$tmp/slow-listen.out")" '^0 connections, 0 bytes, at most 0 open at once$'
check "... silently" empty_file "$tmp/slow-listen.err"
