"""One run of `aio connect`, between pipes and an echo server."""

import fcntl
import os
import select
import subprocess

import processes
import running
from exchange import EXACT, PATIENCE, PATTERN

# So many bytes that the program's writes block while nobody reads its output, and its sends on a unix socket too.
INPUT_BYTES = 3 << 19
PIECE = 1 << 17

# In <fcntl.h>; the module has it from Python 3.10 on.
F_SETPIPE_SZ = 1031


class Pipes:
    """The other ends of the program's standard input and output."""

    def __init__(self, process, byte_count):
        self.process, self.byte_count = process, byte_count
        self.sent = 0
        self.received = bytearray()
        os.set_blocking(process.stdin.fileno(), False)
        # Fewer calls, because strace takes long for the stack of each.
        for pipe in [process.stdin, process.stdout]:
            fcntl.fcntl(pipe, F_SETPIPE_SZ, PIECE)

    @property
    def has_input(self):
        return self.process.stdin is not None

    def write(self):
        """Writes as much of the input as there is room for, and then EOF."""
        try:
            self.sent += os.write(self.process.stdin.fileno(), memoryview(PATTERN)[self.sent:self.byte_count][:PIECE])
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.sent = self.byte_count
        if self.sent == self.byte_count:
            self.process.stdin.close()
            self.process.stdin = None

    def read(self):
        """Returns False at EOF."""
        piece = os.read(self.process.stdout.fileno(), PIECE)
        self.received += piece
        return bool(piece)

    def fill(self):
        """Writes until the program reads no more, because nobody reads its output."""
        while self.has_input:
            if not select.select([], [self.process.stdin], [], 0.02)[1]:
                processes.wait_until_idle(self.process.pid)
                if not select.select([], [self.process.stdin], [], 0)[1]:
                    return
            self.write()

    def pump(self):
        """Writes and reads until the program's EOF. Returns whether it came."""
        while True:
            writers = [self.process.stdin] if self.has_input else []
            readable, writable, _ = select.select([self.process.stdout], writers, [], PATIENCE)
            if not readable and not writable:
                return False
            if writable:
                self.write()
            if readable and not self.read():
                return True

    def outcome(self):
        if self.received == PATTERN[:self.byte_count]:
            return EXACT
        return f"{len(self.received)} of {self.byte_count} bytes came back"


def converse(command, conditions, prefix=None, options=(), environment=None):
    """Runs the program. Its reader is late, so that its writes block."""
    run = running.Run()
    process = running.start(command, prefix, options, environment, subprocess.PIPE)
    run.number, run.has_started = process.pid, True
    pipes = Pipes(process, conditions.byte_count or INPUT_BYTES)
    pipes.fill()
    # It may have taken all of a short input, which it moves now.
    processes.wait_until_idle(process.pid)
    run.spins = processes.is_spinning(process.pid)
    is_over = pipes.pump()
    if not is_over:
        run.wrong = f"nothing comes back after {len(pipes.received)} of {pipes.byte_count} bytes"
        process.kill()
    running.finish(process, run, prefix, was_killed=not is_over)
    run.clients.append(pipes.outcome())
    if not PATTERN.startswith(bytes(pipes.received)):
        run.wrong = "other bytes came back"
    return run
