"""What the system says of a process: its processor time, its descriptors, and whether it sleeps."""

import os
import time

# The processor time, in ticks of 10 ms, and the time in which an idle program that spins would use it.
IDLE_SECONDS, IDLE_TICKS = 0.05, 2
LONG_IDLE_SECONDS, LONG_IDLE_TICKS = 0.6, 6


def status(number):
    """The fields of /proc/NUMBER/stat behind the name, from the state on; none if the process has ended."""
    try:
        with open(f"/proc/{number}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return []


def ticks(number):
    """The processor time of a process, in ticks."""
    fields = status(number)
    return int(fields[11]) + int(fields[12]) if fields else 0


def descriptors(number):
    try:
        return len(os.listdir(f"/proc/{number}/fd"))
    except OSError:
        return 0


def settled_descriptors(number, base):
    """The number of descriptors, as soon as it is back at its base."""
    deadline = time.monotonic() + 2
    while descriptors(number) > base and time.monotonic() < deadline:
        time.sleep(0.01)
    return descriptors(number)


def wait_until_idle(number):
    """Returns when a process sleeps, for a while. One that waits for the processor or for strace does not sleep."""
    samples = 0
    for _ in range(400):
        fields = status(number)
        if not fields or fields[0] == "Z":
            return
        samples = samples + 1 if fields[0] == "S" else 0
        if samples == 8:
            return
        time.sleep(0.005)


def used_while_idle(number, seconds):
    before = ticks(number)
    time.sleep(seconds)
    return ticks(number) - before


def is_spinning(number):
    return used_while_idle(number, IDLE_SECONDS) > IDLE_TICKS and \
        used_while_idle(number, LONG_IDLE_SECONDS) > LONG_IDLE_TICKS
