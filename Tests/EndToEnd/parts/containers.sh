# `Containers/allow-io-uring`: changes a container's seccomp profile.

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
