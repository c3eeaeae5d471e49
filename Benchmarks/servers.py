"""The servers that are measured, and how what they need is built."""

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

# One line per server; a peer is one more line here and one more placeholder below.
SERVERS = {
    BASELINE: "{tools}/echo-c-epoll --listen {listen}",
    "aio protocol": "{aio} echo --listen {listen} --style protocol",
    "aio stream": "{aio} echo --listen {listen} --style stream",
    "nio handler": "{nio} --listen {listen} --style handler",
    "nio async": "{nio} --listen {listen} --style async",
    # The baseline against itself: what this says apart from 1 is noise.
    AGAIN: "{tools}/echo-c-epoll --listen {listen}",
}

# What a server costs is counted on these loops too, beside the one that it takes by itself.
OTHER_LOOPS = ["poll", "select"]


class Trouble(Exception):
    """Something that keeps us from measuring, as a sentence."""


class Missing(Exception):
    """A peer that this machine cannot have, as a sentence: a line in the report, not a failure."""


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
    # SwiftPM plans again when the manifest is newer. Without that it does not notice a new file in the library.
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


# What may stand in a command between braces. A value is made only when a command asks for it, and once; one that a
# machine cannot have raises `Missing`.
PLACEHOLDERS = {
    "{tools}": tools,
    "{aio}": aio,
    "{nio}": nio,
    # Not 127.0.0.1: a connection of another program, such as a port scanner's, would be counted; it costs 6 allocations.
    "{listen}": lambda: "127.92.17.3:0",
}


def resolve(name, command):
    """A server that is ready to be started."""
    words = shlex.split(command)
    for placeholder, make in PLACEHOLDERS.items():
        if placeholder in command:
            words = [word.replace(placeholder, str(make())) for word in words]
    if not words:
        raise Trouble(f"the server '{name}' has an empty command")
    return Server(name, words)


def on_loops(name):
    """A server of the table on its own loop and on the others, as pairs of NAME[, LOOP] and command."""
    command = SERVERS[name]
    return [(name, command)] + [(f"{name}, {loop}", f"{command} --loop {loop}") for loop in OTHER_LOOPS]


def parse_choice(text):
    """NAME of the table, or NAME=COMMAND, as a pair."""
    name, equals, command = text.partition("=")
    if not equals:
        if name not in SERVERS:
            raise Trouble(f"there is no server '{name}'; there are {', '.join(SERVERS)}, and NAME=COMMAND")
        command = SERVERS[name]
    return name, command
