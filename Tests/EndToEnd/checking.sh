# Prints and counts the checks.

passed=0
failed=0

# check SENTENCE COMMAND...: the sentence is true if the command succeeds; the command's output explains a failure.
check() {
    local sentence=$1 output
    shift
    if output=$("$@" 2>&1); then
        echo "ok: $sentence"
        passed=$((passed + 1))
    else
        echo "FAILED: $sentence"
        if [[ -n $output ]]; then sed 's/^/    /' <<<"$output"; fi
        failed=$((failed + 1))
    fi
}

closing_line() {
    echo "$passed passed, $failed failed"
    ((failed == 0))
}

# Commands for `check`, which print the actual result when they fail.

equal() {
    [[ $1 == "$2" ]] || { printf 'is:     %s\nwanted: %s\n' "$1" "$2"; return 1; }
}

matches() {
    [[ $1 =~ $2 ]] || { printf 'is:     %s\nwanted: %s\n' "$1" "$2"; return 1; }
}

at_most() {
    (($1 <= $2)) || { echo "$1 is more than $2"; return 1; }
}

empty_file() {
    [[ ! -s $1 ]] || { head -n 20 "$1"; return 1; }
}

# The seconds after which an event counts as missing. Nothing takes that long, however busy the machine is.
patience=60

# eventually COMMAND...: tries until it succeeds, or until the script has ended (`check` runs it in a subshell).
eventually() {
    local deadline=$((${EPOCHREALTIME/[.,]/} + patience * 1000000)) output
    until output=$("$@" 2>&1); do
        if ((${EPOCHREALTIME/[.,]/} > deadline)) || ! kill -0 $$ 2>/dev/null; then echo "$output"; return 1; fi
        sleep 0.02
    done
}
