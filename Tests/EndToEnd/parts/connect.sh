# `aio connect` in pipelines, between shells, on a FIFO and on a terminal.
# covers: 205

# connects ARGUMENT...: aio connect on this part's loop.
connects() {
    "$aio" connect "$@" --loop "$loop"
}

start_aio connect-echo echo --listen 127.0.0.1:0
echo_pid=$pid echo_port=$port
base=$(descriptors "$echo_pid")
head -c "$((size_mib / 4 + 1))M" /dev/urandom >"$tmp/connect-bytes"

piped() { cat "$tmp/connect-bytes" | connects "127.0.0.1:$echo_port" | cmp - "$tmp/connect-bytes"; }
check "connect: a pipeline gets every byte back, and ends at the end of its input" piped

from_file() {
    connects "127.0.0.1:$echo_port" <"$tmp/connect-bytes" >"$tmp/connect-copy" &&
        cmp "$tmp/connect-copy" "$tmp/connect-bytes"
}
check "connect: so does a command that reads and writes files" from_file

# The end of the input does not end the answers.
start_peer connect-answers targets.py answer-after-end 10
after_end() { equal "$(printf 'question' | connects "127.0.0.1:$port" | wc -c) bytes" "$((10 << 20)) bytes"; }
check "connect: all 10 MiB that a server sends after the end of the input arrive" after_end
check "connect: standard input may be /dev/null" equal "$(connects "127.0.0.1:$port" </dev/null | wc -c)" "$((10 << 20))"

through_fifo() {
    mkfifo "$tmp/fifo"
    { echo first; sleep 0.1; echo second; } >"$tmp/fifo" &
    equal "$(connects "127.0.0.1:$echo_port" <"$tmp/fifo")" $'first\nsecond'
}
check "connect: a FIFO as standard input" through_fifo

# Two real shells: one behind socat, and one that feeds and reads the command.
start connect-shell socat -ls -dd TCP-LISTEN:0,bind=127.0.0.1,fork,reuseaddr EXEC:/bin/sh,stderr
shell_port=$(eventually grep -o 'listening on .*' "$tmp/connect-shell.err" >/dev/null && sed -nE 's/.*listening on .*:([0-9]+)$/\1/p' "$tmp/connect-shell.err" | head -n 1)
shell_answers() { equal "$(printf 'x=6\necho $((x * 7))\nexit\n' | connects "127.0.0.1:$shell_port")" 42; }
check "connect: a shell at the other end runs what is typed" shell_answers
many_lines() { equal "$(echo 'seq 100000' | connects "127.0.0.1:$shell_port" | sha256sum)" "$(seq 100000 | sha256sum)"; }
check "connect: its output arrives whole" many_lines

# `head` leaves after one line, so the shell's endless output must end the command, whose input does not end.
enough() {
    local input output
    mkfifo "$tmp/endless"
    exec {input}<>"$tmp/endless"
    echo yes >&"$input"
    output=$({
        timeout "$patience" "$aio" connect "127.0.0.1:$shell_port" --loop "$loop" <"$tmp/endless" 2>"$tmp/connect-head.err"
        echo "$?" >"$tmp/connect-head.status"
    } | head -n 1)
    exec {input}>&-
    rm "$tmp/endless"
    equal "$output" y && equal "$(<"$tmp/connect-head.status")" 0
}
check "connect: it ends without a message when nobody reads its output any more" enough
check "... not even on standard error" empty_file "$tmp/connect-head.err"

check "connect: a terminal: the line is echoed back, Ctrl-D ends the input, the modes and flags are as before" \
    python3 "$here/peers/terminal.py" "$aio" connect "127.0.0.1:$echo_port" --loop "$loop"

# Whether a later program of the same shell finds its standard streams blocking, after one that was killed.
still_blocking() {
    python3 - "$aio" "$echo_port" "$loop" <<'END'
import os, signal, subprocess, sys
aio, port, loop = sys.argv[1:]
reader, writer = os.pipe()
child = subprocess.Popen([aio, "connect", "127.0.0.1:" + port, "--loop", loop], stdin=reader, stdout=subprocess.PIPE)
os.write(writer, b"line\n")
assert child.stdout.readline() == b"line\n"
assert os.get_blocking(reader) and os.get_blocking(child.stdout.fileno()), "a pipe became non-blocking"
child.send_signal(signal.SIGKILL)
child.wait()
assert os.get_blocking(reader), "the pipe stayed non-blocking"
END
}
check "connect: the pipes of the shell never become non-blocking" still_blocking

refused() {
    local status=0 output
    output=$(connects "127.0.0.1:1" </dev/null 2>&1) || status=$?
    equal "$status $output" "1 aio: cannot connect to 127.0.0.1:1: Connection refused"
}
check "connect: a refused connection is one message, and status 1" refused

no_port() {
    local status=0 output
    output=$(connects localhost </dev/null 2>&1) || status=$?
    matches "$status $output" '^64 aio: .*the port is missing'
}
check "connect: an address without a port is a mistake of the user" no_port

full_disk() {
    local status=0 output
    output=$(echo hello | connects "127.0.0.1:$echo_port" 2>&1 >/dev/full) || status=$?
    matches "$status $output" '^1 aio: cannot send to descriptor [0-9]+: No space left on device$'
}
check "connect: a full disk is an error" full_disk

check "connect: the server has closed all connections" back_to "$echo_pid" "$base"
