# A target that is not there yet.

start_peer nobody held_port.py
target_port=$port
start_forward refused "$target_port"
forwarder=$pid forwarder_port=$port
base=$(descriptors "$pid")

check "forward: a client of a target that refuses sees its connection end" \
    python3 "$here/peers/clients.py" sees-end "$forwarder_port"
check "forward: one sentence names the target and the reason" \
    equal "$(<"$tmp/refused.err")" "aio: cannot connect to 127.0.0.1:$target_port: Connection refused"
check "forward: it lives on, and the connection is gone" back_to "$forwarder" "$base"

began=$SECONDS
check "forward: so do the clients of a flood" python3 "$here/peers/clients.py" sees-end "$forwarder_port" 500
# One in each second that it took, and what was told before.
check "forward: a flood of such clients is no flood of lines" \
    at_most "$(wc -l <"$tmp/refused.err")" $((SECONDS - began + 3))

start appears "$aio" echo --listen "127.0.0.1:$target_port" --loop "$loop"
first_line appears >/dev/null
check "forward: it serves as soon as the target is there" \
    equal "$(echo here | socat -t"$patience" - "TCP:127.0.0.1:$forwarder_port")" here
check "forward: all connections are gone" back_to "$forwarder" "$base"

start_peer leaves accepts_once.py
target_port=$port
start_forward beside "$target_port"
base=$(descriptors "$pid")
check "forward: a target that has gone ends only the connection that was to go there; an open one goes on" \
    python3 "$here/peers/beside_refused.py" "$port"
check "forward: one sentence names the target and the reason" \
    equal "$(<"$tmp/beside.err")" "aio: cannot connect to 127.0.0.1:$target_port: Connection refused"
check "forward: all connections are gone" back_to "$pid" "$base"

start_aio unknown forward --listen 127.0.0.1:0 --to no-such-host.invalid:80
base=$(descriptors "$pid")
check "forward: a client of a target that is unknown sees its connection end" \
    python3 "$here/peers/clients.py" sees-end "$port"
check "forward: one sentence names the target and the reason" \
    matches "$(<"$tmp/unknown.err")" "^aio: cannot resolve 'no-such-host\.invalid': "
check "forward: the resolver's thread is gone" eventually has_threads "$pid" 1
check "forward: it lives on, and the connection is gone" back_to "$pid" "$base"
