# Datagrams: socat as the client of an echo server, and dig with a name server behind the forwarder.

start_aio udp-echo echo --listen udp:127.0.0.1:0
check "udp: the first line names the endpoint and the loop" \
    matches "$(first_line udp-echo)" "^listening on udp:127\.0\.0\.1:[1-9][0-9]* \([a-z_]+\)\$"
base=$(descriptors "$pid")
answer() { echo "$1" | timeout "$patience" socat -T 0.5 -t 0.5 - "UDP:127.0.0.1:$2"; }
check "udp: a datagram comes back" eventually equal "$(answer hello "$port")" hello
check "udp: 10,000 datagrams of 64 clients come back whole" \
    python3 "$here/peers/datagrams.py" "$port" 64 10000 1400
check "udp: large ones too" python3 "$here/peers/datagrams.py" "$port" 1 200 60000
check "udp: no descriptor was opened for them" back_to "$pid" "$base"
ended_well udp-echo TERM "udp: SIGTERM ends it within a second" '^[0-9]+ datagrams, .*$'
check "udp: nothing on standard error" empty_file "$tmp/udp-echo.err"

# The name server's port was free a moment ago; it says so if it is not any more.
start_peer udp-port held_port.py
name_port=$port
stop TERM "$pid"
start udp-names dnsmasq --keep-in-foreground --no-resolv --no-hosts --conf-file=/dev/null --user="$(id -un)" \
    --bind-interfaces --listen-address=127.0.0.1 --port="$name_port" --pid-file= --log-facility=- \
    --address=/one.example/192.0.2.1 --txt-record=text.example,"a text"
start_aio udp-forward forward --listen udp:127.0.0.1:0 --to "udp:127.0.0.1:$name_port"
query() { dig +short +tries=5 +time=2 -p "$port" @127.0.0.1 "$@"; }
check "udp: dig asks a name server through the forwarder" equal "$(query one.example A)" 192.0.2.1
check "udp: ... also for a text" equal "$(query text.example TXT)" '"a text"'
many_queries() {
    local number
    for number in $(seq 50); do query "host$number.one.example" A >"$tmp/dig.$number" & done
    for number in $(jobs -p); do wait "$number" 2>/dev/null || true; done
    equal "$(cat "$tmp"/dig.* | sort | uniq -c | tr -s ' ')" " 50 192.0.2.1"
}
check "udp: 50 clients at once" bash -c "$(declare -f query many_queries equal); port=$port tmp=$tmp; many_queries"
check "udp: nothing on standard error" empty_file "$tmp/udp-forward.err"

start_peer udp-nobody held_port.py
start_aio udp-refused forward --listen udp:127.0.0.1:0 --to "udp:127.0.0.1:$port"
answer nobody "$port" >/dev/null || true
check "udp: a target that does not listen is one message" \
    eventually matches "$(cat "$tmp/udp-refused.err")" "^aio: .*127\.0\.0\.1:[0-9]+.*Connection refused"
check "udp: ... and the forwarder lives" alive "$pid"
