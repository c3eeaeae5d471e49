# EOF in one direction does not affect the other one.
# covers: 154, F13

start_peer answers targets.py answer-after-end 10
start_forward half "$port"
base=$(descriptors "$pid")
check "forward: a client that half-closes gets all 10 MiB that the target sends afterwards" \
    python3 "$here/peers/clients.py" whole-answer "$port" 10
check "forward: five of them at once do" \
    python3 "$here/peers/clients.py" whole-answer "$port" 10 5
check "forward: all connections are closed" back_to "$pid" "$base"
ended_well half TERM "forward: SIGTERM ends it" '^6 connections, 60 MiB, at most 5 open at once$'

start_peer ends targets.py end-first
start_forward half-target "$port"
base=$(descriptors "$pid")
check "forward: when the target half-closes first, it still gets all 10 MiB that the client sends afterwards" \
    python3 "$here/peers/clients.py" send-after-end "$port" 10 "$tmp/ends.out"
check "forward: all connections are closed" back_to "$pid" "$base"
check "forward: nothing on standard error" empty_file "$tmp/half-target.err"
