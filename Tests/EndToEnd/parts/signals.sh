# SIGINT and SIGTERM, in every state of the connections.

for style in protocol stream; do
    for signal in INT TERM; do
        name=signal-$style-$signal
        start_aio "$name" echo --listen 127.0.0.1:0 --style "$style"
        server=$pid
        start_client "$name-idle" idle
        start_client "$name-stuck" never-read
        pid=$server
        check "echo, $style: a client that never reads does not make it grow" at_most "$(resident_kib "$pid")" 32768
        ended_well "$name" "$signal" "echo, $style: SIG$signal ends it within a second, with an idle and a stuck client" \
            '^2 connections, [0-9.]+ [KM]iB, at most 2 open at once$'
        check "echo, $style: nothing on standard error" empty_file "$tmp/$name.err"
    done
done

for signal in INT TERM; do
    start_peer "silent-$signal" targets.py silent
    start_forward "forward-$signal" "$port"
    server=$pid
    start_client "forward-$signal-idle" idle
    start_client "forward-$signal-stuck" never-read
    pid=$server
    ended_well "forward-$signal" "$signal" "forward: SIG$signal ends it within a second, with an idle and a stuck connection" \
        '^2 connections, [0-9.]+ [KM]iB, at most 2 open at once$'
    check "forward: nothing on standard error" empty_file "$tmp/forward-$signal.err"
done

start_aio signal-none echo --listen 127.0.0.1:0
ended_well signal-none TERM "echo: SIGTERM ends it without any client" '^0 connections, 0 bytes, at most 0 open at once$'

start_aio signal-one echo --listen 127.0.0.1:0
echo hello | socat -t"$patience" - "TCP:127.0.0.1:$port" >/dev/null
ended_well signal-one TERM "echo: SIGTERM ends it after one client" '^1 connection, 6 bytes, at most 1 open at once$'
