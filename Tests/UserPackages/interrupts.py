#!/usr/bin/env python3
"""Starts the programs that get Ctrl-C, and checks what they print and how they end.

Usage: interrupts.py DIRECTORY_OF_THE_PROGRAMS
"""

import os
import signal
import subprocess
import sys

INTERRUPTED = -signal.SIGINT

# covers: 30, 39
# Arguments, number of Ctrl-Cs (one for each line "ready"), other lines, how the program ends, standard error.
CASES = [
    ("interrupts wait", 1, ["the main task cancelled", "the other task cancelled"], INTERRUPTED, ""),
    ("interrupts runner", 2, ["the main task cancelled", "caught: interrupted by Ctrl-C"] * 2 + ["then 3"], 0, ""),
    ("interrupts swallow", 1, ["the main task cancelled", "went on"], 0, ""),
    ("interrupts too-late", 0, ["the main task ended with 1", "caught: interrupted by Ctrl-C"], 0, ""),
    ("interrupts other-error", 1, ["the main task cancelled", "its own error"], 0, ""),
    ("interrupts stubborn", 2, ["the main task cancelled"], INTERRUPTED, ""),
    ("interrupts busy", 2, [], INTERRUPTED, ""),
    ("interrupts busy-drain", 1, ["the other task cancelled"], INTERRUPTED, ""),
    ("interrupts busy-drain-after-ctrl-c", 2, ["the main task cancelled", "the other task cancelled"], INTERRUPTED, ""),
    ("interrupts handler", 2, ["handled", "the main task cancelled"], INTERRUPTED, ""),
    ("interrupts handler-outlives-run", 1, [], INTERRUPTED, ""),
    ("interrupts restored", 0,
     ["restored after a run", "restored after a handler", "restored by the close"], 0, ""),
    ("interrupts ignored", 0, ["still ignored"], 0, ""),
    ("interrupts after-the-run", 1, [], INTERRUPTED, ""),
    ("interrupts forked-child", 0, ["the child ended by signal 2"], 0, ""),
    ("interrupts off-the-main-thread", 1, [], INTERRUPTED, ""),
    ("loop-main", 0, ["ok: loop main", "the rest has ended"], 0, ""),
    ("loop-main fail", 0, ["the rest has ended"], 1, "loop-main: it does not work\n"),
    ("loop-main wait", 1, ["the rest has ended"], INTERRUPTED, ""),
]


def default_interrupt():
    # A script in the background ignores the signal, and its children inherit that.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def was_taken(pid):
    """Whether no SIGINT is pending for a thread of the process; a second one would be merged with it."""
    if not os.path.exists(f"/proc/{pid}/status"):
        return True
    with open(f"/proc/{pid}/status") as status:
        pending = [int(line.split()[1], 16) for line in status if line.startswith(("SigPnd:", "ShdPnd:"))]
    return not any(bits & 1 << (signal.SIGINT - 1) for bits in pending)


def run(directory, arguments, interrupts):
    program, *rest = arguments.split()
    process = subprocess.Popen(
        [os.path.join(directory, program), *rest], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=default_interrupt)
    # A program that hangs is ended, and the comparison shows that.
    signal.signal(signal.SIGALRM, lambda *_: process.kill())
    signal.alarm(60)
    lines = []
    sent = 0
    for line in process.stdout:
        if line != "ready\n":
            lines.append(line.rstrip("\n"))
            continue
        process.send_signal(signal.SIGINT)
        sent += 1
        # This program prints "ready" only once, because its loop is blocked.
        while arguments.endswith(" busy") and sent < interrupts:
            while not was_taken(process.pid):
                pass
            process.send_signal(signal.SIGINT)
            sent += 1
    error = process.stderr.read()
    status = process.wait()
    signal.alarm(0)
    return sent, sorted(lines), status, error[:500]


def main():
    failures = 0
    for arguments, interrupts, lines, status, error in CASES:
        expected = (interrupts, sorted(lines), status, error)
        found = run(sys.argv[1], arguments, interrupts)
        if found != expected:
            failures += 1
            print(f"interrupts: {arguments}: {found} instead of {expected}")
    if failures:
        sys.exit(1)
    print(f"ok: {len(CASES)} programs end as they should, most of them by Ctrl-C")


main()
