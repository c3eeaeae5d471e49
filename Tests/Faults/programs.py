"""The programs under test: what starts them, and one run from the first line of output to the exit status."""

import atexit
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
import time

import exchange
import tracing

LISTENING = re.compile(r"listening on (?:unix:(/.*)|([\d.]+):(\d+)) \(\w+\)\n")
SUMMARY = re.compile(r"\d+ connections?, .* open at once\n$")
# The processor time, in ticks of 10 ms, and the time in which an idle program that spins would use it.
IDLE_SECONDS, IDLE_TICKS = 0.05, 2
LONG_IDLE_SECONDS, LONG_IDLE_TICKS = 0.6, 6


class Program:
    """A server that sends back what it gets."""

    def __init__(self, name, *arguments, connects=False, on_path=False):
        self.name, self.arguments, self.connects, self.on_path = name, arguments, connects, on_path

    def command(self, aio, loop):
        return [aio, *self.arguments, "--listen", new_path() if self.on_path else "127.0.0.1:0", "--loop", loop]


def new_path():
    """An endpoint in a folder of its own, because two programs that listen in one folder wait for each other."""
    folder = tempfile.mkdtemp(prefix="faults-socket-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return f"unix:{folder}/socket"


def all_programs():
    target = exchange.EchoServer()
    return [
        Program("echo-protocol", "echo", "--style", "protocol"),
        Program("echo-stream", "echo", "--style", "stream"),
        Program("echo-unix", "echo", "--style", "stream", on_path=True),
        Program("forward", "forward", "--to", target.address, connects=True),
    ]


class Run:
    """What a program did while clients talked to it."""

    def __init__(self):
        self.has_started = self.ended_early = False
        self.status = None
        self.output = ""
        self.errors = []
        # How each client fared, in order.
        self.clients = []
        self.wrong = None
        self.spins = False
        self.descriptors = (0, 0)
        self.trace = None
        self.number = 0


def ticks(number):
    """The processor time of a process, in ticks."""
    try:
        with open(f"/proc/{number}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def descriptors(number):
    try:
        return len(os.listdir(f"/proc/{number}/fd"))
    except OSError:
        return 0


def wait_until_idle(number):
    """Returns when a process sleeps, for a while. One that waits for the processor or for strace does not sleep."""
    samples = 0
    for _ in range(400):
        try:
            with open(f"/proc/{number}/stat", encoding="ascii", errors="replace") as file:
                state = file.read().rpartition(")")[2].split()[0]
        except OSError:
            return
        samples = samples + 1 if state == "S" else 0
        if samples == 8:
            return
        time.sleep(0.005)


def read_line(process, patience):
    """Returns the first line of output; less if the program ends before."""
    line = b""
    while not line.endswith(b"\n") and select.select([process.stdout], [], [], patience)[0]:
        piece = os.read(process.stdout.fileno(), 4096)
        if not piece:
            break
        line += piece
    return line.decode()


def used_while_idle(number, seconds):
    before = ticks(number)
    time.sleep(seconds)
    return ticks(number) - before


def is_spinning(number):
    return used_while_idle(number, IDLE_SECONDS) > IDLE_TICKS and \
        used_while_idle(number, LONG_IDLE_SECONDS) > LONG_IDLE_TICKS


def run(command, clients, prefix=None, options=(), environment=None):
    """Runs a program, under strace if there is a prefix for its traces. `clients` talks to it: it gets the address, a
    function that appends the result of a client, and the run."""
    result = Run()
    if prefix:
        command = tracing.traced(command, prefix, options)
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    was_killed = False
    result.number = process.pid
    try:
        line = read_line(process, exchange.PATIENCE)
        result.output = line
        listening = LISTENING.match(line)
        result.has_started = bool(listening)
        if listening:
            before = descriptors(process.pid)
            try:
                clients(listening[1] or (listening[2], int(listening[3])), result.clients.append, result)
            except exchange.Wrong as error:
                result.wrong = str(error)
            result.spins = is_spinning(process.pid)
            result.descriptors = (before, settled(process.pid, before))
            result.ended_early = process.poll() is not None
        elif line:
            result.wrong = f"the first line is {line!r}"
        if line and not result.ended_early:
            process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=exchange.PATIENCE)
    except subprocess.TimeoutExpired:
        result.wrong = result.wrong or "the program does not end"
        process.kill()
        rest, errors = process.communicate()
        was_killed = True
    result.output += rest.decode(errors="replace")
    result.errors = errors.decode(errors="replace").splitlines()
    result.status = process.returncode
    if prefix:
        result.trace = tracing.finished(prefix, process.pid, was_killed)
    return result


def settled(number, base):
    """The number of descriptors, as soon as it is back at its base."""
    deadline = time.monotonic() + 2
    while descriptors(number) > base and time.monotonic() < deadline:
        time.sleep(0.01)
    return descriptors(number)
