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

# In a sandbox that forbids epoll, and then poll too, the next best loop is used.
sandbox() {
    strace -D -f -qq -o /dev/null -e "inject=$1:error=EPERM" "${@:2}"
}
if sandbox epoll_create1 true 2>/dev/null; then
    check "loops: without epoll, poll is the default" matches \
        "$(sandbox epoll_create1 "$aio" loops | grep '^poll ')" '^poll +readiness +yes +yes '
    check "loops: ... and epoll says that it was refused" matches \
        "$(sandbox epoll_create1 "$aio" loops | grep '^epoll ')" '^epoll +readiness +no +refused: .*[Nn]ot permitted'
    check "loops: without epoll and poll, select is the default" matches \
        "$(sandbox 'epoll_create1,?poll,ppoll' "$aio" loops | grep '^select ')" '^select +readiness +yes +yes '
fi
