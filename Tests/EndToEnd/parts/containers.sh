# `Containers`: the seccomp profile that allows io_uring, and the script that changes another one.

allow_io_uring="$here/../../Containers/allow-io-uring"

# actions PROFILE: whether it is JSON, and what it says of each call of io_uring; then the rest of it, in one line.
actions() {
    python3 -c '
import json, sys
profile = json.load(sys.stdin)
calls = ["io_uring_setup", "io_uring_enter", "io_uring_register"]
for call in calls:
    print(call, *[rule["action"] for rule in profile["syscalls"] if call in rule["names"]] or [profile["defaultAction"]])
others = [{**rule, "names": [name for name in rule["names"] if name not in calls]} for rule in profile["syscalls"]]
profile["syscalls"] = [rule for rule in others if rule["names"]]
print(json.dumps(profile))'
}
allowed() { printf '%s %s\n' io_uring_setup "$1" io_uring_enter "$1" io_uring_register "$1"; }

# changes SENTENCE: the profile on standard input allows io_uring afterwards, and the rest of it is unchanged.
changes() {
    cat >"$tmp/profile.json"
    check "containers: $1" equal "$("$allow_io_uring" "$tmp/profile.json" | actions)" \
        "$(allowed SCMP_ACT_ALLOW)
$(actions <"$tmp/profile.json" | tail -n 1)"
}

changes "a list of what is allowed, like the default of Docker, allows io_uring" <<'END'
{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1,
 "archMap": [{"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]}],
 "syscalls": [{"names": ["read", "write"], "action": "SCMP_ACT_ALLOW"},
              {"names": ["socket"], "action": "SCMP_ACT_ALLOW", "args": [{"index": 0, "value": 40, "op": "SCMP_CMP_NE"}]},
              {"names": ["ptrace"], "action": "SCMP_ACT_ALLOW", "includes": {"minKernel": "4.8"}}]}
END
changes "so does a list that rejects its calls by name" <<'END'
{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38,
 "syscalls": [{"names": ["io_uring_setup", "bpf"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
              {"names": ["io_uring_enter", "io_uring_register"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
              {"names": ["read"], "action": "SCMP_ACT_ALLOW"}]}
END
changes "so does a list of what is rejected" <<'END'
{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["io_uring_setup", "mount"], "action": "SCMP_ACT_ERRNO"}]}
END
check "containers: a changed profile is not changed again" equal \
    "$("$allow_io_uring" "$tmp/profile.json" | "$allow_io_uring" -)" "$("$allow_io_uring" "$tmp/profile.json")"

# no_profile TEXT REASON
no_profile() {
    local status=0
    printf '%s' "$1" | "$allow_io_uring" - >"$tmp/profile.out" 2>"$tmp/profile.err" || status=$?
    equal "$status" 1 && empty_file "$tmp/profile.out" && matches "$(<"$tmp/profile.err")" "^allow-io-uring: - is not a seccomp profile: $2"
}
check "containers: another file is rejected" no_profile 'FROM swift' 'Expecting value'
check "... a list" no_profile '[]' "it has no 'defaultAction' or no list 'syscalls'$"
check "... a rule without names" no_profile '{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"name": "read"}]}' \
    "a rule of 'syscalls' has no list 'names'$"

matches_file() { matches "$(<"$1")" "$2"; }

# The profile of this repository.
own_profile="$here/../../Containers/seccomp-io-uring.json"
check "containers: the own profile is JSON that allows the calls of io_uring" \
    equal "$(actions <"$own_profile" | sed -n 1,3p)" "$(allowed SCMP_ACT_ALLOW)"
check "... and rejects what it does not list" equal \
    "$(python3 -c 'import json, sys; print(json.load(sys.stdin)["defaultAction"])' <"$own_profile")" SCMP_ACT_ERRNO

# under NAME PROFILE ARGUMENT...: aio, with the kernel's filter for the profile.
under() { start "$1" python3 "$here/peers/under_profile.py" "$2" "$aio" "${@:3}"; }
if [[ $("$aio" loops | awk '$1 == "io_uring" { print $3 }') == yes ]]; then
    under profile-own "$own_profile" echo --listen 127.0.0.1:0 --loop io_uring
    line=$(first_line profile-own)
    check "containers: under the own profile, aio runs on io_uring" matches "$line" ' \(io_uring\)$'
    port=${line##*:}
    check "... and serves" equal "$(echo here | socat -t"$patience" - "TCP:127.0.0.1:${port%% *}")" here
    ended_well profile-own TERM "... and ends" '^1 connection, 5 bytes'
else
    echo "NOT RUN: the own profile on io_uring, which this system refuses"
fi
# The same without the three calls, as the default profiles are.
python3 -c '
import json, sys
profile = json.load(sys.stdin)
profile["syscalls"] = [rule for rule in profile["syscalls"] if not any("io_uring" in name for name in rule["names"])]
print(json.dumps(profile))' <"$own_profile" >"$tmp/without.json"
under profile-without "$tmp/without.json" loops
check "containers: without its three calls, the table says that a sandbox forbids io_uring" eventually matches_file "$tmp/profile-without.out" \
    "io_uring +completion +no +refused: io_uring_setup is forbidden, .* seccomp filter \(Operation not permitted\)"
under profile-default "$tmp/without.json" echo --listen 127.0.0.1:0
check "... and the default loop works" matches "$(first_line profile-default)" ' \(epoll\)$'
"$allow_io_uring" "$tmp/without.json" >"$tmp/with.json"
if [[ $("$aio" loops | awk '$1 == "io_uring" { print $3 }') == yes ]]; then
    under profile-changed "$tmp/with.json" echo --listen 127.0.0.1:0 --loop io_uring
    check "... and with the script, io_uring works again" matches "$(first_line profile-changed)" ' \(io_uring\)$'
fi
