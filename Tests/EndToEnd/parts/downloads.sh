# Many large downloads at once, through the forwarder.

if [[ $(stat -c %s "$tmp/file" 2>/dev/null) != "$((size_mib * 1048576))" ]]; then
    head -c "$((size_mib * 1048576))" /dev/urandom >"$tmp/file"
fi
wanted=$(sha256sum <"$tmp/file" | cut -d' ' -f1)

start_peer http http_server.py "$tmp/file"
start_forward downloads "$port"
forwarder=$pid
base=$(descriptors "$forwarder")

# One that is over first, so that every later descriptor is a leak.
curl -sS --max-time 60 "http://127.0.0.1:$port/file" -o /dev/null -r 0-0
check "downloads: a first one leaves nothing behind" back_to "$forwarder" "$base"

begin=${EPOCHREALTIME/[.,]/}
rm -f "$tmp"/hash.*
for number in $(seq "$parallel"); do
    start "curl-$number" bash -c '
        set -o pipefail
        curl -sS --max-time 1200 "$1" | sha256sum | cut -d" " -f1 >"$2.part"
        mv "$2.part" "$2"
    ' bash "http://127.0.0.1:$port/file" "$tmp/hash.$number"
done

most_kib=0 most_threads=0 most_descriptors=0
while alive "$forwarder" && ((${EPOCHREALTIME/[.,]/} - begin < 1200000000)); do
    kib=$(resident_kib "$forwarder") count=$(threads "$forwarder") open=$(descriptors "$forwarder")
    most_kib=$((${kib:-0} > most_kib ? kib : most_kib))
    most_threads=$((${count:-0} > most_threads ? count : most_threads))
    most_descriptors=$((open > most_descriptors ? open : most_descriptors))
    finished=$(find "$tmp" -name 'hash.*' ! -name '*.part' | wc -l)
    if ((finished == parallel)); then break; fi
    sleep 0.1
done
milliseconds=$(((${EPOCHREALTIME/[.,]/} - begin) / 1000))

echo "    $parallel x $size_mib MiB in $milliseconds ms ($((parallel * size_mib * 1000 / (milliseconds + 1))) MiB/s);" \
    "at most $most_kib KiB resident, $most_descriptors descriptors, $most_threads threads"
all_hashes() {
    local number
    for number in $(seq "$parallel"); do
        equal "$number: $(cat "$tmp/hash.$number" 2>&1; cat "$tmp/curl-$number.err")" "$number: $wanted" || return 1
    done
}
check "downloads: all $parallel files are whole" all_hashes
check "downloads: one thread does it" equal "$most_threads" 1
check "downloads: at most 64 MiB of memory" at_most "$most_kib" 65536
check "downloads: every descriptor is freed" back_to "$forwarder" "$base"
check "downloads: nothing on standard error" empty_file "$tmp/downloads.err"
pid=$forwarder
ended_well downloads TERM "downloads: SIGTERM ends the forwarder" "^$((parallel + 1)) connections, .*, at most $parallel open at once$"
sed -n 's/^/    /;2p' "$tmp/downloads.out"
