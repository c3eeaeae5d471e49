"""The servers that are measured, and how they are built."""

import dataclasses
import functools
import os
import pathlib
import shlex
import subprocess
import sys

BENCHMARKS = pathlib.Path(__file__).resolve().parent
ROOT = BENCHMARKS.parent
BUILD_SECONDS = 1800

BASELINE = "c"
AGAIN = "c again"

# One line per server. A peer needs one more line here and one more placeholder below.
SERVERS = {
    BASELINE: "{tools}/echo-c-epoll --listen {listen}",
    "aio protocol": "{aio} echo --listen {listen} --style protocol",
    "aio stream": "{aio} echo --listen {listen} --style stream",
    "nio handler": "{nio} --listen {listen} --style handler",
    "nio async": "{nio} --listen {listen} --style async",
    # The baseline against itself; its distance from 1 is noise.
    AGAIN: "{tools}/echo-c-epoll --listen {listen}",
}

# The cost of a server is also counted on these loops, in addition to its default loop.
OTHER_LOOPS = ["poll", "select"]


class Trouble(Exception):
    """An error that prevents a measurement, as a message."""


class Missing(Exception):
    """A peer that is not available on this machine, as a message: a line in the report, not a failure."""


@dataclasses.dataclass(frozen=True)
class Server:
    name: str
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


@functools.cache
def tools():
    """The folder of the C programs."""
    return _build(BENCHMARKS)


@functools.cache
def aio():
    """The command-line tool of this repository."""
    return _build(ROOT, "--product", "aio") / "aio"


@functools.cache
def byte_costs():
    """The folder of the program that makes each public call that moves bytes."""
    package = BENCHMARKS / "ByteCosts"
    # SwiftPM plans the build again if the manifest is newer; otherwise it does not notice a new file in the library.
    os.utime(package / "Package.swift")
    return _build(package)


@functools.cache
def small_operations():
    """The program that performs small operations of the loop."""
    package = BENCHMARKS / "Small"
    os.utime(package / "Package.swift")  # As above.
    return _build(package) / "small-operations"


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
    package = BENCHMARKS / "Lateness"
    # As above.
    os.utime(package / "Package.swift")
    return _build(package) / "lateness"


# The placeholders of a command. A value is created once, when a command needs it; one that is not available on this machine
# raises `Missing`.
PLACEHOLDERS = {
    "{tools}": tools,
    "{aio}": aio,
    "{nio}": nio,
    # Not 127.0.0.1, where a connection of another program, such as a port scanner, would be counted; it costs 6 allocations.
    "{listen}": lambda: "127.92.17.3:0",
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


def on_loops(name):
    """A server of the table on its default loop and on the others, as pairs of NAME[, LOOP] and command."""
    command = SERVERS[name]
    return [(name, command)] + [(f"{name}, {loop}", f"{command} --loop {loop}") for loop in OTHER_LOOPS]


def parse_choice(text):
    """NAME of the table, or NAME=COMMAND, as a pair."""
    name, equals, command = text.partition("=")
    if not equals:
        if name not in SERVERS:
            raise Trouble(f"there is no server '{name}'; the servers are {', '.join(SERVERS)}, and NAME=COMMAND")
        command = SERVERS[name]
    return name, command
