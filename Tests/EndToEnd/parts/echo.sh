# Both styles of `aio echo`, with socat as the client.

head -c 3145728 /dev/urandom >"$tmp/bytes"
# The first line names the loop that runs, not the one that was requested.
loop_name=$loop
if [[ $loop == auto ]]; then loop_name=$default_loop; fi

# echoes ADDRESS FILE
echoes() {
    socat -t"$patience" - "TCP:$1" <"$2" | cmp - "$2"
}

for style in protocol stream; do
    start_aio "echo-$style" echo --listen 127.0.0.1:0 --style "$style"
    check "echo, $style: the first line names the address and the loop" \
        matches "$(first_line "echo-$style")" "^listening on 127\.0\.0\.1:[1-9][0-9]* \($loop_name\)\$"
    base=$(descriptors "$pid")
    echo hello >"$tmp/hello"
    check "echo, $style: sends a line back" echoes "127.0.0.1:$port" "$tmp/hello"
    check "echo, $style: a client that half-closes gets all of 3 MiB back" echoes "127.0.0.1:$port" "$tmp/bytes"
    check "echo, $style: both connections are closed" back_to "$pid" "$base"
    check "echo, $style: runs on one thread" has_threads "$pid" 1
    ended_well "echo-$style" INT "echo, $style: SIGINT ends it within a second" \
        '^2 connections, 3 MiB, at most 1 open at once$'
    check "echo, $style: nothing on standard error" empty_file "$tmp/echo-$style.err"
done

if grep -q ' lo$' /proc/net/if_inet6 2>/dev/null; then
    start_aio echo-v6 echo --listen '[::1]:0'
    check "echo: IPv6 in brackets" matches "$(first_line echo-v6)" "^listening on \[::1\]:[1-9][0-9]* \($loop_name\)\$"
    check "echo: sends back over IPv6" echoes "[::1]:$port" "$tmp/hello"

    start_aio echo-all echo --listen :0
    check "echo: without a host it listens on all interfaces, in one line" \
        matches "$(first_line echo-all)" "^listening on 0\.0\.0\.0:[1-9][0-9]*, \[::\]:[1-9][0-9]* \($loop_name\)\$"
    check "echo: the last of these addresses answers" echoes "[::1]:$port" "$tmp/hello"
fi

start_aio echo-name echo --listen localhost:0
check "echo: it listens on a host name too" matches "$(first_line echo-name)" "^listening on [^ ]+(, [^ ]+)* \($loop_name\)\$"
check "echo: the resolver's thread is gone" eventually has_threads "$pid" 1
