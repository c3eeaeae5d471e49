# For the checks that run programs on io_uring too.

# ring_refusal: prints why this machine does not let programs use io_uring, or nothing if it does.
ring_refusal() {
    swift build --product aio >/dev/null
    "$(swift build --show-bin-path)/aio" loops | sed -nE 's/^io_uring +completion +no +//p'
}

# The status of a step that could not run here, which `scripts/check` does not count as passed.
not_run=77
