"""The servers that are measured, and how they are built."""

import dataclasses
import functools
import json
import os
import pathlib
import shlex
import subprocess
import sys

BENCHMARKS = pathlib.Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent
BUILD_SECONDS = 1800
PROBE_SECONDS = 60

BASELINE = "c"
AGAIN = "c again"

# One line per server. A peer needs one more line here and one more placeholder below.
SERVERS = {
    BASELINE: "{tools}/echo-c-epoll --listen {listen}",
    "c io_uring": "{c_io_uring} --listen {listen}",
    "aio protocol": "{aio} echo --listen {listen} --style protocol --loop epoll",
    "aio protocol, io_uring": "{aio} echo --listen {listen} --style protocol --loop {io_uring}",
    # These tasks read chunks, those of "read into" read into their own buffers.
    "aio stream": "{aio} echo --listen {listen} --style stream --loop epoll",
    "aio stream, io_uring": "{aio} echo --listen {listen} --style stream --loop {io_uring}",
    "read into": "{read_into} --listen {listen} --loop epoll",
    "read into, io_uring": "{read_into} --listen {listen} --loop {io_uring}",
    "nio handler": "{nio} --listen {listen} --style handler",
    "nio async": "{nio} --listen {listen} --style async",
    # The baseline against itself; its distance from 1 is noise.
    AGAIN: "{tools}/echo-c-epoll --listen {listen}",
}

FIRST_LOOP = "epoll"
# What is counted or measured on epoll is also counted on these loops.
OTHER_LOOPS = ["poll", "select", "io_uring"]


class Trouble(Exception):
    """An error that prevents a measurement, as a message."""


class Missing(Exception):
    """A server that is not available on this machine, as a message: a line in the report, not a failure."""


# Where a server listens. Not 127.0.0.1, where a connection of another program, such as a port scanner, would be counted;
# it costs 6 allocations.
TCP = "127.92.17.3:0"
UDP = "udp:127.92.17.3:0"
UNIX = "unix:{folder}/echo"


@dataclasses.dataclass(frozen=True)
class Server:
    name: str
    # Contains "{listen}", which the run of a server replaces.
    command: list


def _build(package, *arguments):
    """Builds in release and returns the folder of the programs."""
    command = ["swift", "build", "-c", "release", "--package-path", str(package), *arguments]
    print("building:", shlex.join(command), file=sys.stderr)
    try:
        built = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_SECONDS)
        if built.returncode != 0:
            raise Trouble(f"{shlex.join(command)} failed:\n{(built.stdout + built.stderr).strip()[-4000:]}")
        found = subprocess.run([*command, "--show-bin-path"], capture_output=True, text=True, check=True, timeout=60)
    except FileNotFoundError:
        raise Trouble("there is no 'swift' in the path") from None
    except subprocess.SubprocessError as error:
        raise Trouble(f"{shlex.join(command)}: {error}") from None
    return pathlib.Path(found.stdout.strip())


def _build_dependent(name):
    """Builds a package here that depends on the library."""
    package = BENCHMARKS / name
    # SwiftPM plans the build again if the manifest is newer; otherwise it does not notice a new file in the library.
    os.utime(package / "Package.swift")
    # The library is compiled once for all packages that use this folder.
    return _build(package, "--scratch-path", str(ROOT / ".build" / "dependents"))


@functools.cache
def tools():
    """The folder of the C programs."""
    return _build(BENCHMARKS)


@functools.cache
def aio():
    """The command-line tool of this repository."""
    return _build(ROOT, "--product", "aio") / "aio"


@functools.cache
def c_io_uring():
    """The C server over io_uring, if the system allows it."""
    program = tools() / "echo-c-io-uring"
    probe = subprocess.run([str(program), "--probe"], capture_output=True, text=True, timeout=PROBE_SECONDS)
    if probe.returncode != 0:
        raise Missing(f"this system refuses io_uring: {probe.stderr.strip()}")
    return program


@functools.cache
def io_uring():
    """The name of the library's loop over io_uring, if the system allows it."""
    listed = subprocess.run([str(aio()), "loops", "--json"], capture_output=True, text=True, timeout=PROBE_SECONDS)
    try:
        loop = next(loop for loop in json.loads(listed.stdout) if loop["name"] == "io_uring")
        is_available, reason = loop["available"], loop["reason"]
    except (ValueError, StopIteration, KeyError):
        raise Trouble(f"'aio loops --json' does not list io_uring: {(listed.stdout + listed.stderr).strip()}") from None
    if not is_available:
        raise Missing(f"the loop io_uring is not available: {reason}")
    return "io_uring"


@functools.cache
def read_into():
    """The echo server whose tasks read into their own buffers."""
    return _build_dependent("ReadInto") / "echo-read-into"


@functools.cache
def byte_costs():
    """The folder of the program that makes each public call that moves bytes."""
    return _build_dependent("ByteCosts")


@functools.cache
def small_operations():
    """The program that performs small operations of the loop."""
    return _build_dependent("Small") / "small-operations"


@functools.cache
def nio():
    """SwiftNIO's echo server."""
    try:
        return _build(BENCHMARKS / "Peers" / "NIO") / "echo-nio"
    except Trouble as trouble:
        raise Missing(f"it cannot be built here: {str(trouble).splitlines()[-1]}") from None


@functools.cache
def lateness():
    """The program that measures timers and signals beside a busy loop."""
    return _build_dependent("Lateness") / "lateness"


# The placeholders of a command. A value is created once, when a command needs it; one that is not available on this machine
# raises `Missing`.
PLACEHOLDERS = {
    "{tools}": tools,
    "{aio}": aio,
    "{c_io_uring}": c_io_uring,
    "{io_uring}": io_uring,
    "{read_into}": read_into,
    "{nio}": nio,
    "{listen}": lambda: "{listen}",
}


def resolve(name, command):
    """A server that can be started."""
    words = shlex.split(command)
    for placeholder, make in PLACEHOLDERS.items():
        if placeholder in command:
            words = [word.replace(placeholder, str(make())) for word in words]
    if not words:
        raise Trouble(f"the server '{name}' has an empty command")
    return Server(name, words)


def available(choices):
    """The servers that can be started, of pairs of name and command; and why others are missing, by name."""
    chosen, missing = [], {}
    for name, command in choices:
        try:
            chosen.append(resolve(name, command))
        except Missing as reason:
            missing[name] = str(reason)
    return chosen, missing


def on_loop(name, loop):
    """A server of the table on a loop, as a pair of name and command."""
    if loop == FIRST_LOOP:
        return name, SERVERS[name]
    value = "{io_uring}" if loop == "io_uring" else loop
    return f"{name}, {loop}", SERVERS[name].replace(f"--loop {FIRST_LOOP}", f"--loop {value}")


def on_loops(name):
    """A server of the table on all loops, as pairs of name and command."""
    return [on_loop(name, loop) for loop in [FIRST_LOOP, *OTHER_LOOPS]]


def parse_choice(text):
    """NAME of the table, or NAME=COMMAND, as a pair."""
    name, equals, command = text.partition("=")
    if not equals:
        if name not in SERVERS:
            raise Trouble(f"there is no server '{name}'; the servers are {', '.join(SERVERS)}, and NAME=COMMAND")
        command = SERVERS[name]
    return name, command
