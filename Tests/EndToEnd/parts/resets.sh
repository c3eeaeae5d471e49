# Connections that break during a write.
# covers: 266

# resets SENTENCE TARGET CLIENT: the client's mode against the target's, through a forwarder.
resets() {
    local sentence=$1 target=$2 client=$3 name=reset-$2-$3 base forwarder
    start_peer "$name-target" targets.py "$target"
    start_forward "$name" "$port"
    forwarder=$pid base=$(descriptors "$pid")
    check "forward: $sentence" python3 "$here/peers/clients.py" "$client" "$port"
    check "... every descriptor is freed" back_to "$forwarder" "$base"
    check "... silently" empty_file "$tmp/$name.err"
    stop TERM "$forwarder"
    check "... and SIGTERM ends it with status 0" equal "$status" 0
}

resets "a client that resets while it sends" sink reset-while-sending
resets "a client that resets while it receives" source reset-while-receiving
resets "a client that resets while both do" mirror reset-while-sending
resets "a target that resets while it receives: the client's connection ends" reset-while-receiving send-until-end
resets "a target that resets while it sends: the client's connection ends" reset-while-sending receive-until-end

for style in protocol stream; do
    start_aio "reset-$style" echo --listen 127.0.0.1:0 --style "$style"
    base=$(descriptors "$pid")
    check "echo, $style: clients that reset while they send" python3 "$here/peers/clients.py" reset-while-sending "$port"
    check "... every descriptor is freed" back_to "$pid" "$base"
    check "... silently" empty_file "$tmp/reset-$style.err"
done
