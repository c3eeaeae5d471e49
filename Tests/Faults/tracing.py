"""Runs a program under strace, and reads what strace wrote."""

import glob
import os
import re
import time

# The names of the files.
EXECUTABLES = ["aio", "FaultServer"]
# How many functions of the program, from the innermost on, tell one call site from another.
DEPTH = 6
CALL = re.compile(r"^(\w+)\((.*?)\)?\s+= (.*)$")
FRAME = re.compile(r"^ > (\S+)\(([^()+]*)[^()]*\)")
INJECTED = "(INJECTED)"
# What a stack has of a function that only passes a call on: thunks, closures, specializations.
PASSES_ON = re.compile(r"(T[AWQRY][0-9_]*|TA\.\d+)$")


class Unfinished(Exception):
    """strace has not written a whole trace."""


class Call:
    """One system call of the program's first thread."""

    def __init__(self, name, arguments, result):
        self.name, self.arguments, self.result = name, arguments, result
        self.shape = re.sub(r'"[^"]*"(\.\.\.)?|0x[0-9a-f]+|htons\(\d+\)|u32=\d+, u64=\d+|\{[^}]*\}|\[[^]]*\]', "_", arguments)
        self.frames = []
        # The libraries that a function of the program called to make it, innermost first.
        self.libraries = []
        # The number among the calls of its name, from 1 on, as strace counts.
        self.ordinal = 0

    @property
    def is_injected(self):
        return INJECTED in self.result

    @property
    def site(self):
        return (self.name, tuple(self.frames[:DEPTH]))


def traced(command, prefix, options):
    """Returns a command that runs another one under strace, as the child of this process. The traces of its threads are
    `prefix.NUMBER`."""
    for file in glob.glob(f"{prefix}.*"):
        os.unlink(file)
    return ["strace", "-D", "-ff", "-o", prefix, *options, *command]


def finished(prefix, number, was_killed):
    """Waits until strace has written everything, and returns the file of the first thread."""
    path, deadline = f"{prefix}.{number}", time.monotonic() + (1 if was_killed else 60)
    while time.monotonic() < deadline:
        try:
            with open(path, "rb") as file:
                file.seek(max(0, os.path.getsize(path) - 200))
                if b"+++ " in file.read():
                    return path
        except OSError:
            pass
        time.sleep(0.005)
    if was_killed and os.path.exists(path):
        return path
    raise Unfinished(path)


def calls(path):
    """Returns the calls of a trace. With stacks, each has the functions of the program that made it, innermost first."""
    found, counts = [], {}
    with open(path, encoding="utf-8", errors="replace") as trace:
        for line in trace:
            frame = FRAME.match(line)
            if frame:
                file = os.path.basename(frame[1])
                if file in EXECUTABLES and found and not PASSES_ON.search(frame[2]):
                    found[-1].frames.append(frame[2])
                elif file not in EXECUTABLES and found and not found[-1].frames:
                    found[-1].libraries.append(file)
                continue
            match = CALL.match(line)
            if match:
                call = Call(*match.groups())
                counts[call.name] = counts.get(call.name, 0) + 1
                call.ordinal = counts[call.name]
                found.append(call)
            elif line.startswith("--- SIGTERM"):
                found.append(Call("SIGTERM", "", ""))
    return found


def other_calls(prefix, number):
    """Returns the names of the calls that the other threads of the program made."""
    names = set()
    for path in glob.glob(f"{prefix}.*"):
        if path != f"{prefix}.{number}":
            with open(path, encoding="utf-8", errors="replace") as file:
                names.update(match[1] for match in map(CALL.match, file) if match)
    return names
