"""One run of a program: of a server from its first line of output to its exit status, while clients talk to it."""

import os
import re
import select
import signal
import subprocess

import exchange
import processes
import tracing

LISTENING = re.compile(r"listening on (?:unix:(/.*)|(?:udp:)?([\d.]+):(\d+)) \(\w+\)\n")


class Conditions:
    """What a fault permits, and how much the clients send."""

    def __init__(self, may_lose=False, may_nudge=False, byte_count=None):
        self.may_lose, self.may_nudge, self.byte_count = may_lose, may_nudge, byte_count


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
        # The descriptors that the program may keep for its clients.
        self.kept_descriptors = 0
        self.trace = None
        self.number = 0


def start(command, prefix, options, environment, standard_input):
    """Starts a program, under strace if there is a prefix for its traces."""
    return subprocess.Popen(
        tracing.traced(command, prefix, options) if prefix else command, bufsize=0, stdin=standard_input,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)


def finish(process, run, prefix, was_killed=False):
    """Waits until a program has ended, and notes what it has printed. It is killed if it does not end."""
    try:
        rest, errors = process.communicate(timeout=exchange.PATIENCE)
    except subprocess.TimeoutExpired:
        run.wrong = run.wrong or "the program does not end"
        process.kill()
        rest, errors = process.communicate()
        was_killed = True
    run.errors = errors.decode(errors="replace").splitlines()
    run.status = process.returncode
    if prefix:
        run.trace = tracing.finished(prefix, process.pid, was_killed)
    return rest


def read_line(process, patience):
    """Returns the first line of output; less if the program ends before."""
    line = b""
    while not line.endswith(b"\n") and select.select([process.stdout], [], [], patience)[0]:
        piece = os.read(process.stdout.fileno(), 4096)
        if not piece:
            break
        line += piece
    return line.decode()


def serve(command, clients, prefix=None, options=(), environment=None):
    """Runs a server. `clients` talks to it: it gets the address and the run, and appends how each client fared."""
    run = Run()
    process = start(command, prefix, options, environment, subprocess.DEVNULL)
    run.number = process.pid
    line = read_line(process, exchange.PATIENCE)
    listening = LISTENING.match(line)
    run.has_started = bool(listening)
    if listening:
        before = processes.descriptors(process.pid)
        try:
            clients(listening[1] or (listening[2], int(listening[3])), run)
        except exchange.Wrong as error:
            run.wrong = str(error)
        run.spins = processes.is_spinning(process.pid)
        before += run.kept_descriptors
        run.descriptors = (before, processes.settled_descriptors(process.pid, before))
        run.ended_early = process.poll() is not None
    elif line:
        run.wrong = f"the first line is {line!r}"
    if line and not run.ended_early:
        process.send_signal(signal.SIGTERM)
    run.output = line + finish(process, run, prefix).decode(errors="replace")
    return run
