# A target that does not listen yet.

start_peer nobody held_port.py
target_port=$port
start_forward refused "$target_port"
forwarder=$pid forwarder_port=$port
base=$(descriptors "$pid")

check "forward: a client of a target that refuses gets EOF or a reset" \
    python3 "$here/peers/clients.py" sees-end "$forwarder_port"
check "forward: one message names the target and the reason" \
    equal "$(<"$tmp/refused.err")" "aio: cannot connect to 127.0.0.1:$target_port: Connection refused"
check "forward: it continues, and the connection is closed" back_to "$forwarder" "$base"

began=$SECONDS
check "forward: so do 500 clients at once" python3 "$here/peers/clients.py" sees-end "$forwarder_port" 500
# One line for each second that it took, and the one from before.
check "forward: 500 such clients do not cause as many lines" \
    at_most "$(wc -l <"$tmp/refused.err")" $((SECONDS - began + 3))

start appears "$aio" echo --listen "127.0.0.1:$target_port" --loop "$loop"
first_line appears >/dev/null
check "forward: it serves as soon as the target listens" \
    equal "$(echo here | socat -t"$patience" - "TCP:127.0.0.1:$forwarder_port")" here
check "forward: all connections are closed" back_to "$forwarder" "$base"

start_peer leaves accepts_once.py
target_port=$port
start_forward beside "$target_port"
base=$(descriptors "$pid")
check "forward: when the target stops listening, new connections fail and an open one continues" \
    python3 "$here/peers/beside_refused.py" "$port"
check "forward: one message names the target and the reason" \
    equal "$(<"$tmp/beside.err")" "aio: cannot connect to 127.0.0.1:$target_port: Connection refused"
check "forward: all connections are closed" back_to "$pid" "$base"

start_aio unknown forward --listen 127.0.0.1:0 --to no-such-host.invalid:80
base=$(descriptors "$pid")
check "forward: a client of an unknown target gets EOF or a reset" \
    python3 "$here/peers/clients.py" sees-end "$port"
check "forward: one message names the target and the reason" \
    matches "$(<"$tmp/unknown.err")" "^aio: cannot resolve 'no-such-host\.invalid': "
check "forward: the resolver's thread is gone" eventually has_threads "$pid" 1
check "forward: it continues, and the connection is closed" back_to "$pid" "$base"
