# Starts, queries and ends programs; none outlives the script.

# begin_processes [ENDING]: $tmp is a folder for the script's files. The command ENDING, end_started by default, ends the
# programs at the end of the script, also after a signal.
begin_processes() {
    tmp=$(mktemp -d)
    started=()
    ending=${1:-end_started}
    # A second signal must not interrupt the end.
    trap 'trap "" INT TERM; $ending; rm -rf "$tmp"' EXIT
    trap 'trap "" INT TERM; exit 130' INT
    trap 'trap "" INT TERM; exit 143' TERM
}

end_started() {
    local pid
    for pid in ${started[@]+"${started[@]}"}; do
        # Not yet reaped, so the number still belongs to our child.
        if is_child "$pid"; then
            kill -KILL "$pid" 2>/dev/null || true
            wait "$pid" 2>/dev/null || true
        fi
    done
    started=()
}

is_child() {
    [[ $(jobs -pr) =~ (^|[[:space:]])$1($|[[:space:]]) ]]
}

# start NAME COMMAND...: in the background; $pid is its number, $tmp/NAME.out and .err what it prints.
start() {
    local name=$1
    shift
    # The output of an earlier program of this name must not be taken for this one's.
    rm -f "$tmp/$name.out" "$tmp/$name.err"
    "$@" >"$tmp/$name.out" 2>"$tmp/$name.err" </dev/null &
    pid=$!
    started+=("$pid")
}

# first_line NAME: waits for the first line of its output, and prints it.
first_line() {
    eventually test -s "$tmp/$1.out" || { cat "$tmp/$1.err" >&2; return 1; }
    head -n 1 "$tmp/$1.out"
}

# start_aio NAME ARGUMENT...: sets $pid and the $port it listens on. WRAPPER is put in front of the command.
start_aio() {
    local name=$1 line
    shift
    # shellcheck disable=SC2086 # a command and its arguments
    start "$name" ${WRAPPER-} "$aio" "$@" --loop "$loop"
    line=$(first_line "$name") || { echo "run: aio $* did not start" >&2; exit 1; }
    port=${line##*:}
    port=${port%% *}
}

# start_peer NAME SCRIPT ARGUMENT...: one of peers/ that prints its port first; sets $pid and $port.
start_peer() {
    local name=$1 script=$2
    shift 2
    start "$name" python3 "$here/peers/$script" "$@"
    port=$(first_line "$name") || { echo "run: $script $* did not start" >&2; exit 1; }
}

# start_client NAME MODE: a mode of clients.py that connects to $port and stays.
start_client() {
    start "$1" python3 "$here/peers/clients.py" "$2" "$port"
    first_line "$1" >/dev/null || { echo "run: the client $2 did not start" >&2; exit 1; }
}

# start_forward NAME TARGET-PORT: aio forward to that port; sets $pid and $port.
start_forward() {
    start_aio "$1" forward --listen 127.0.0.1:0 --to "127.0.0.1:$2"
}

# stop SIGNAL PID: sets $status and the $milliseconds it took; gives up after 10 s. Each poll counts for 20 ms at most, because
# a busy machine delays both the program's end and this script.
stop() {
    local before=${EPOCHREALTIME/[.,]/} now microseconds=0
    kill -s "$1" "$2"
    while is_child "$2" && ((microseconds < 10000000)); do
        sleep 0.01
        now=${EPOCHREALTIME/[.,]/}
        microseconds=$((microseconds + (now - before < 20000 ? now - before : 20000)))
        before=$now
    done
    milliseconds=$((microseconds / 1000))
    if is_child "$2"; then kill -KILL "$2"; fi
    status=0
    wait "$2" 2>/dev/null || status=$?
}

# ended_in_time: what `stop` stopped ended with status 0, within a second.
ended_in_time() {
    equal "status $status" "status 0" && at_most "$milliseconds" 1000
}

# ended_well NAME SIGNAL SENTENCE: stops $pid; it ends within a second, with status 0 and a summary that matches.
ended_well() {
    local name=$1 signal=$2 sentence=$3 summary=$4
    stop "$signal" "$pid"
    check "$sentence" ended_in_time
    check "... and prints a summary" matches "$(sed -n 2p "$tmp/$name.out")" "$summary"
}

# The number of descriptors; 0 if the program has ended. Listed by name only, because one may be closed meanwhile.
descriptors() {
    local open
    open=$(shopt -s nullglob; echo "/proc/$1/fd/"*)
    wc -w <<<"$open"
}

none_of_the_tool_runs() { equal "$(find /proc -maxdepth 2 -name exe -lname "$aio" 2>/dev/null || true)" ""; }

threads() { sed -n 's/^Threads:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null || true; }

resident_kib() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$1/status" 2>/dev/null || true; }

has_descriptors() { equal "$(descriptors "$1") descriptors" "$2 descriptors"; }

has_threads() { equal "$(threads "$1") threads" "$2 threads"; }

alive() { [[ -d /proc/$1/fd ]] && is_child "$1"; }

# back_to PID COUNT: all descriptors of the connections are closed, and the program is alive.
back_to() {
    alive "$1" && eventually has_descriptors "$1" "$2"
}

# refuses STATUS MESSAGE ARGUMENT...: the first line of standard error matches the message, and standard output is empty. It
# is the only line, unless the arguments are wrong; then the parser's usage follows.
refuses() {
    local wanted=$1 message=$2 status=0
    shift 2
    timeout "$patience" "$aio" "$@" >"$tmp/refused.out" 2>"$tmp/refused.err" || status=$?
    equal "$status" "$wanted" && matches "$(head -n 1 "$tmp/refused.err")" "^aio: $message" || return
    empty_file "$tmp/refused.out" || return
    if ((wanted == 1)); then equal "lines: $(wc -l <"$tmp/refused.err")" "lines: 1"; fi
}
