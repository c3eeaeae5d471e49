# Many large downloads at once, through the forwarder.

if [[ $(stat -c %s "$tmp/file" 2>/dev/null) != "$((size_mib * 1048576))" ]]; then
    head -c "$((size_mib * 1048576))" /dev/urandom >"$tmp/file"
fi

start_peer http http_server.py "$tmp/file" "$parallel"
start_forward downloads "$port"
forwarder=$pid
base=$(descriptors "$forwarder")

# One download first, so that every descriptor that is open later is a leak.
curl -sS --max-time "$patience" "http://127.0.0.1:$port/nothing" -o /dev/null
check "downloads: a first one leaves nothing behind" back_to "$forwarder" "$base"

begin=${EPOCHREALTIME/[.,]/}
rm -f "$tmp"/whole.*
for number in $(seq "$parallel"); do
    start "curl-$number" bash -c '
        set -o pipefail
        status=0
        curl -sS --max-time 1200 "$1" | cmp - "$2" || status=$?
        echo "$status" >"$3.part"
        mv "$3.part" "$4"
    ' bash "http://127.0.0.1:$port/file" "$tmp/file" "$tmp/curl-$number" "$tmp/whole.$number"
done

most_kib=0 most_threads=0 most_descriptors=0
while alive "$forwarder" && ((${EPOCHREALTIME/[.,]/} - begin < 1200000000)); do
    kib=$(resident_kib "$forwarder") count=$(threads "$forwarder") open=$(descriptors "$forwarder")
    most_kib=$((${kib:-0} > most_kib ? kib : most_kib))
    most_threads=$((${count:-0} > most_threads ? count : most_threads))
    most_descriptors=$((open > most_descriptors ? open : most_descriptors))
    finished=("$tmp"/whole.*)
    if ((${#finished[@]} == parallel)); then break; fi
    sleep 0.1
done
milliseconds=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))

echo "    $parallel x $size_mib MiB in $milliseconds ms ($((parallel * size_mib * 1000 / (milliseconds + 1))) MiB/s);" \
    "at most $most_kib KiB resident, $most_descriptors descriptors, $most_threads threads"
all_whole() {
    local number
    for number in $(seq "$parallel"); do
        equal "$number: $(cat "$tmp/whole.$number" "$tmp/curl-$number.out" "$tmp/curl-$number.err" 2>&1)" "$number: 0" || return 1
    done
}
check "downloads: all $parallel files are complete" all_whole
check "downloads: the server has one thread" equal "$most_threads" 1
check "downloads: at most 64 MiB of memory" at_most "$most_kib" 65536
check "downloads: every descriptor is freed" back_to "$forwarder" "$base"
check "downloads: nothing on standard error" empty_file "$tmp/downloads.err"
pid=$forwarder
ended_well downloads TERM "downloads: SIGTERM ends the forwarder" "^$((parallel + 1)) connections, .*, at most $parallel open at once$"
sed -n 's/^/    /;2p' "$tmp/downloads.out"
