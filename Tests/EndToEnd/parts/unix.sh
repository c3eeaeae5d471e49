# Unix sockets, with socat and curl as the clients.

echoes_to() {
    socat -t"$patience" - "$1" <"$2" | cmp - "$2"
}

head -c 3145728 /dev/urandom >"$tmp/bytes"
socket=$tmp/echo.sock
for style in protocol stream; do
    start_aio "unix-$style" echo --listen "unix:$socket" --style "$style"
    check "unix, $style: the first line names the path and the loop" \
        matches "$(first_line "unix-$style")" "^listening on unix:$socket \([a-z_]+\)\$"
    base=$(descriptors "$pid")
    check "unix, $style: a client that half-closes gets all of 3 MiB back" \
        echoes_to "UNIX-CONNECT:$socket" "$tmp/bytes"
    check "unix, $style: the connection is closed" back_to "$pid" "$base"
    server=$pid
    check "unix, $style: a second server on the path is refused" \
        refuses 1 "cannot listen on $socket: Address already in use \(another server uses it\)$" echo --listen "unix:$socket" --loop "$loop"
    check "unix, $style: ... and the first one still answers" echoes_to "UNIX-CONNECT:$socket" "$tmp/bytes"
    pid=$server
    ended_well "unix-$style" INT "unix, $style: SIGINT ends it within a second" \
        '^[0-9]+ connections, 6 MiB, at most 1 open at once$'
    check "unix, $style: ... and removes the file" equal "$(ls "$socket" 2>/dev/null)" ""
done

start_aio unix-killed echo --listen "unix:$socket"
stop KILL "$pid"
check "unix: a server that was killed leaves its file" test -S "$socket"
start_aio unix-after echo --listen "unix:$socket"
check "unix: ... which the next server replaces" echoes_to "UNIX-CONNECT:$socket" "$tmp/bytes"

echo text >"$tmp/regular"
check "unix: a file that is no socket is refused" \
    refuses 1 "cannot listen on $tmp/regular: Address already in use \(the file there is not a socket\)$" echo --listen "unix:$tmp/regular" --loop "$loop"
check "unix: ... and not changed" equal "$(cat "$tmp/regular")" text
long=$(printf 'x%.0s' {1..200})
check "unix: a path that is too long is refused" \
    refuses 1 ".*200 bytes" echo --listen "unix:$long" --loop "$loop"

name=swift-asyncio-end-to-end-$$
start_aio unix-abstract echo --listen "abstract:$name"
check "unix: an abstract name is the first line" \
    matches "$(first_line unix-abstract)" "^listening on abstract:$name \([a-z_]+\)\$"
check "unix: ... and serves" echoes_to "ABSTRACT-CONNECT:$name" "$tmp/bytes"

start_peer unix-http http_server.py "$tmp/bytes" 1
start_aio unix-forward forward --listen "unix:$tmp/http.sock" --to "127.0.0.1:$port"
check "unix: curl --unix-socket loads a file through the forwarder" \
    cmp <(curl -sS --max-time "$patience" --unix-socket "$tmp/http.sock" http://localhost/file) "$tmp/bytes"
start_aio unix-to forward --listen 127.0.0.1:0 --to "unix:$tmp/http.sock"
check "unix: ... and from TCP to the unix socket" \
    equal "$(curl -sS --max-time "$patience" -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/nothing")" 404
check "unix: nothing on standard error" empty_file "$tmp/unix-to.err"
