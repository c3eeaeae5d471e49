"""Starts an example, reads its output, talks to it, and ends it with a signal."""

import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading

# The seconds after which an event counts as missing, however busy the machine is.
PATIENCE = 60


class Failed(Exception):
    pass


def check(condition, *what):
    if not condition:
        raise Failed(" ".join(str(word) for word in what))


def equal(found, expected, what):
    check(found == expected, f"{what}: {found!r} instead of {expected!r}")


class Program:
    """A running example. `lines` contains the output that was read so far."""

    binaries = None

    def __init__(self, name, *arguments, command=None):
        self.name = name
        self.lines = []
        self._errors = tempfile.TemporaryFile()
        # The C library would write to a pipe in blocks. A shell lets what it starts in the background ignore SIGINT.
        command = command or ["env", "--default-signal=INT", "stdbuf", "-oL", os.path.join(self.binaries, name)]
        self._process = subprocess.Popen(
            [*command, *map(str, arguments)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self._errors)
        self._queue = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self._process.stdout:
            self._queue.put(line.decode().rstrip("\n"))
        self._queue.put(None)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        if error is not None:
            print(f"--- {self.name} printed:", *self.lines[-20:], self.errors, sep="\n", file=sys.stderr)

    @property
    def errors(self):
        self._errors.seek(0)
        return self._errors.read().decode()

    def line(self):
        """Returns the next line; None at EOF."""
        try:
            line = self._queue.get(timeout=PATIENCE)
        except queue.Empty:
            raise Failed(f"{self.name} printed no line within {PATIENCE} s") from None
        if line is not None:
            self.lines.append(line)
        return line

    def until(self, expected):
        """Reads lines up to the one that contains `expected`, and returns it."""
        while True:
            line = self.line()
            check(line is not None, f"{self.name} ended without the line {expected!r}")
            if expected in line:
                return line

    def port(self):
        """Returns the port of the first line, "listening on HOST:PORT"."""
        return int(self.until("listening on ").rsplit(":", 1)[1])

    def send(self, number):
        self._process.send_signal(number)

    def end(self, number=signal.SIGINT, status=0):
        """Ends it with a signal, or waits if that is None. It must have the expected status and print no error."""
        if number is not None:
            self.send(number)
        try:
            found = self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name} did not end") from None
        while self.line() is not None:
            pass
        check(not self.errors, f"{self.name} wrote to standard error")
        equal(found, status, f"status of {self.name}")

    def peak_kilobytes(self):
        """Returns its peak memory."""
        with open(f"/proc/{self._process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


class Client:
    """A TCP client."""

    def __init__(self, port, receive_bytes=None):
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive_bytes is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.connect(("127.0.0.1", port))
        self._input = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._input.close()
        self.socket.close()

    def write(self, text):
        self.socket.sendall(text.encode() if isinstance(text, str) else text)

    def line(self):
        return self._input.readline().decode().rstrip("\r\n")

    def read(self, count=-1):
        return self._input.read(count)


def run(*command, status=0, given=b""):
    """Returns the output of a command for some input."""
    done = subprocess.run([*map(str, command)], input=given, capture_output=True, timeout=PATIENCE, check=False)
    equal(done.returncode, status, f"status of {' '.join(map(str, command))} ({done.stderr.decode().strip()})")
    return done.stdout


class KeptPort:
    """Reserves a port for a program that cannot choose one itself; no other program gets it while this one does not listen.

    Otherwise, a client that connects repeatedly might reach the server of another program."""

    def __init__(self):
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        # Not earlier, because another program could have bound the number without listening yet.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.number = self._socket.getsockname()[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._socket.close()
