# Bad input: one message on standard error, and an exit status.

start_aio in-use echo --listen 127.0.0.1:0
check "the message names a port in use" \
    refuses 1 "cannot listen on 127\.0\.0\.1:$port: Address already in use$" echo --listen "127.0.0.1:$port"
check "... in forward too" refuses 1 "cannot listen on 127\.0\.0\.1:$port: Address already in use$" \
    forward --listen "127.0.0.1:$port" --to 127.0.0.1:1
check "the message names an unknown host" refuses 1 "cannot resolve 'no-such-host\.invalid': " echo --listen no-such-host.invalid:0
check "the message names an address of another machine" \
    refuses 1 "cannot listen on 192\.0\.2\.77:0: Cannot assign requested address$" echo --listen 192.0.2.77:0
check "the message names an unknown loop, and the available loops" \
    refuses 64 "unknown loop 'foo'; use one of auto, .*epoll" echo --loop foo
check "... in forward too" refuses 64 "unknown loop 'foo'; use one of auto, " \
    forward --listen 127.0.0.1:0 --to 127.0.0.1:1 --loop foo
for missing in kqueue iocp; do
    if [[ $("$aio" loops | awk -v name="$missing" '$1 == name { print $3 }') == yes ]]; then continue; fi
    check "the message names a loop that this system lacks: $missing" \
        refuses 1 "the event loop '$missing' is not supported by " echo --loop "$missing"
done
check "a missing port" refuses 64 ".*'localhost'.*: the port is missing" echo --listen localhost
check "an empty port" refuses 64 ".*'localhost:'.*: the port is missing" echo --listen localhost:
check "a port out of range" refuses 64 ".*: the port 65536 is out of range; the largest is 65535$" echo --listen 127.0.0.1:65536
check "a port that is not a number" refuses 64 ".*: 'http' is not a port number$" echo --listen 127.0.0.1:http
check "a negative port" refuses 64 ".*: '-1' is not a port number$" echo --listen 127.0.0.1:-1
check "IPv6 without brackets" refuses 64 ".*'::1:80'.*: write an IPv6 address in brackets" echo --listen ::1:80
check "a bracket that is not closed" refuses 64 ".*: the brackets must contain an IPv6 address" echo --listen '[::1:80'
check "a target without a host" refuses 64 ".*: the host is missing" forward --listen :0 --to :80
check "a target with port 0" refuses 64 ".*: port 0 is not a port to connect to" forward --listen :0 --to localhost:0
check "a target that is not given" refuses 64 "Missing expected argument '--to " forward --listen :0
check "an empty path" refuses 64 ".*: the path is missing" echo --listen unix:
check "an empty name" refuses 64 ".*: the name is missing" echo --listen abstract:
check "datagrams without a port" refuses 64 ".*'udp:127.0.0.1'.*: the port is missing" echo --listen udp:127.0.0.1
check "datagrams to connections" refuses 64 "datagrams and connections cannot be forwarded to each other: udp:.* to " \
    forward --listen udp:127.0.0.1:0 --to 127.0.0.1:1
check "an unknown style" refuses 64 ".*'x'.*'protocol' and 'stream'" echo --style x
check "an unknown subcommand" refuses 64 "Unexpected argument 'chat'" chat
check "an unknown option" refuses 64 "Unknown option '--port'" echo --port 80

check "--version prints a version" matches "$("$aio" --version)" '^[0-9]+\.[0-9]+\.[0-9]+$'
for command in "" echo forward; do
    # shellcheck disable=SC2086 # no argument when it is empty
    check "aio ${command:+$command }--help shows examples" matches "$("$aio" $command --help)" "EXAMPLES:
  aio "
done
