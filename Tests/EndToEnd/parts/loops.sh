# `aio loops`: lists the loops, and which of them this system has.

names="io_uring epoll kqueue poll select iocp"
check "loops: the table has a row for each loop" \
    equal "$("$aio" loops | awk 'NR > 1 { print $1 }' | paste -sd ' ')" "$names"
check "loops: epoll is the default" matches "$("$aio" loops | grep '^epoll ')" '^epoll +readiness +yes +yes +[a-z]'
check "loops: an unavailable loop has a reason" matches "$("$aio" loops | grep '^iocp ')" '^iocp +completion +no +not on Linux: '
check "loops: no colours" equal "$("$aio" loops | tr -d '[:print:]\n' | wc -c)" 0

json_rows() {
    "$aio" loops --json | python3 -c '
import json, sys
for row in json.load(sys.stdin):
    assert set(row) == {"name", "family", "available", "default", "reason"}, row
    assert isinstance(row["available"], bool) and isinstance(row["default"], bool) and row["reason"], row
    print(row["name"], "yes" if row["available"] else "no")'
}
check "loops: the JSON says the same" equal "$(json_rows)" "$("$aio" loops | awk 'NR > 1 { print $1, $3 }')"

# Each loop that is listed as available starts and prints its name.
for name in $("$aio" loops | awk '$3 == "yes" { print $1 }'); do
    start "loops-$name" "$aio" echo --listen 127.0.0.1:0 --loop "$name"
    check "loops: $name runs" matches "$(first_line "loops-$name")" " \($name\)\$"
done

# ASYNCIO_LOOP names the default loop; --loop has priority.
loops_with() { ASYNCIO_LOOP=$1 "$aio" loops "${@:2}"; }
check "loops: ASYNCIO_LOOP names the default" matches \
    "$(loops_with poll | awk '$4 == "yes"')" '^poll +readiness +yes +yes +works here; ASYNCIO_LOOP chooses it$'
check "loops: ... and auto or nothing is as without it" equal "$(loops_with auto && loops_with "")" "$("$aio" loops && "$aio" loops)"
ASYNCIO_LOOP=poll start loops-variable "$aio" echo --listen 127.0.0.1:0
check "loops: a server without --loop uses it" matches "$(first_line loops-variable)" ' \(poll\)$'
ASYNCIO_LOOP=poll start loops-option "$aio" echo --listen 127.0.0.1:0 --loop select
check "loops: --loop has priority" matches "$(first_line loops-option)" ' \(select\)$'
ASYNCIO_LOOP=nonsense start loops-ignored "$aio" echo --listen 127.0.0.1:0 --loop select
check "loops: ... over an unknown name too" matches "$(first_line loops-ignored)" ' \(select\)$'

# wrong_variable VALUE MESSAGE ARGUMENT...: one message on standard error, and the status.
wrong_variable() {
    local value=$1 message=$2 status=0
    shift 2
    ASYNCIO_LOOP=$value timeout "$patience" "$aio" "$@" >"$tmp/variable.out" 2>"$tmp/variable.err" || status=$?
    equal "$status" 1 && matches "$(<"$tmp/variable.err")" "^aio: $message\$"
}
check "loops: an unknown name in ASYNCIO_LOOP is an error that lists the names" wrong_variable foo \
    "ASYNCIO_LOOP is 'foo', which is not the name of an event loop; use one of auto, io_uring, epoll, poll, select" echo
check "loops: a loop of another system is an error that says why" wrong_variable kqueue \
    "ASYNCIO_LOOP: the event loop 'kqueue' is not supported by .*; use one of auto, io_uring, epoll, poll, select" echo
check "loops: the table says it too" wrong_variable foo "ASYNCIO_LOOP is 'foo', .*" loops
check "loops: ... and has all rows, and no default" equal "$(awk '$4 == "yes"' "$tmp/variable.out" | wc -l) $(wc -l <"$tmp/variable.out")" "0 7"
check "loops: the JSON is complete in that case" equal "$(loops_with foo --json 2>/dev/null | python3 -c '
import json, sys
rows = json.load(sys.stdin)
print(len(rows), [row["name"] for row in rows if row["default"]])')" "6 []"
check "loops: the help names the variable" matches "$("$aio" --help && "$aio" echo --help && "$aio" loops --help)" \
    'ASYNCIO_LOOP.*ASYNCIO_LOOP.*ASYNCIO_LOOP'
