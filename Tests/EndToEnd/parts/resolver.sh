# A name server that takes its time: the loop goes on meanwhile.

cc -shared -fPIC -o "$tmp/slow_getaddrinfo.so" "$here/peers/slow_getaddrinfo.c" -ldl

start_aio slow-target echo --listen 127.0.0.1:0
target_port=$port
WRAPPER="env LD_PRELOAD=$tmp/slow_getaddrinfo.so" start_aio slow forward --listen 127.0.0.1:0 --to "target.slow:$target_port"
forwarder=$pid base=$(descriptors "$pid")
check "resolver: nothing is said before the name is needed" has_threads "$pid" 1

check "resolver: an open connection is served while names are looked up" \
    python3 "$here/peers/clients.py" beside-lookups "$port" "$forwarder"
check "resolver: its threads are gone, and the connections too" eventually 10 has_threads "$pid" 1
check "resolver: every descriptor is freed" back_to "$forwarder" "$base"

start_client slow-waiting idle
pid=$forwarder
check "resolver: one more thread while a name is looked up" eventually 1 has_threads "$pid" 2
ended_well slow TERM "resolver: SIGTERM ends it within a second, in the middle of a lookup" '^[0-9]+ connections, '

start slow-listen env LD_PRELOAD="$tmp/slow_getaddrinfo.so" "$aio" echo --listen here.slow:0 --loop "$loop"
eventually 5 has_threads "$pid" 2 || true
stop TERM "$pid"
check "resolver: SIGTERM ends it within a second, before it listens" equal "$status, $(((milliseconds + 999) / 1000)) s" "0, 1 s"
check "... and says what it did" matches "$(<"$tmp/slow-listen.out")" '^0 connections, 0 bytes, at most 0 open at once$'
check "... silently" empty_file "$tmp/slow-listen.err"
