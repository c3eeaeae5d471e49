"""Runs one server and one load client, each on a separate CPU, and reads the kernel's figures of the server."""

import contextlib
import dataclasses
import json
import os
import pathlib
import re
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import servers
from servers import Missing, Trouble

# Limits for programs that hang; on a busy machine a program takes long, but not that long.
START_SECONDS = 60
STOP_SECONDS = 60
# Both processes wait before the server is measured, because the kernel updates its figures when a thread stops running.
SETTLE_SECONDS = 0.02


@dataclasses.dataclass(frozen=True)
class Load:
    name: str
    connections: int
    message_bytes: int
    in_flight: int = 1
    # Additional connections that send as fast as they can.
    floods: int = 0
    # Where the server listens.
    listen: str = servers.TCP
    # Every message has its own connection.
    is_churn: bool = False


@contextlib.contextmanager
def naming(what):
    """Adds what was being measured to any error inside."""
    try:
        yield
    except Trouble as trouble:
        raise Trouble(f"{what}: {trouble}") from None


def aligned(lines, names):
    """Returns the lines of a table; the first `names` columns are aligned left, the figures right."""
    widths = [max(map(len, column)) for column in zip(*lines)]
    for line in lines:
        cells = zip(line, widths)
        yield "  ".join(
            text.ljust(width) if column < names else text.rjust(width)
            for column, (text, width) in enumerate(cells)).rstrip()


def spread(ratios):
    """The median distance from 1 of the baseline's ratios to itself."""
    return statistics.median(abs(ratio - 1) for ratio in ratios)


def pin(position):
    """Pins a child process, before it executes its program, to the first or second CPU that may be used."""
    cpus = sorted(os.sched_getaffinity(0))
    cpu = cpus[position % len(cpus)]
    return lambda: os.sched_setaffinity(0, {cpu})


def exit_on_termination():
    """SIGTERM unwinds like an exception, so that no server outlives its script."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def report(main):
    """Runs a script; an error is a message and status 2."""
    exit_on_termination()
    try:
        sys.exit(main())
    except (Missing, Trouble) as trouble:
        print(f"{pathlib.Path(sys.argv[0]).name}: {trouble}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


class Child:
    """A process with pipes, which is always ended at the end of the `with` block."""

    def __init__(self, name, command, cpu, environment=None):
        self.name = name
        try:
            self.process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, preexec_fn=pin(cpu),
                env={**os.environ, **(environment or {})})
        except OSError as error:
            raise Trouble(f"{name} cannot be started: {error}") from None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            # After a failure the process only has to end; a second error would hide the first one.
            self.end() if kind is None else self.process.kill()
        finally:
            if self.process.poll() is None:
                self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()

    def end(self):
        raise NotImplementedError

    def wait(self):
        try:
            return self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise Trouble(f"{self.name} did not end within {STOP_SECONDS} seconds") from None

    def read_line(self, seconds):
        line, deadline = b"", time.monotonic() + seconds
        while not line.endswith(b"\n"):
            if not select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise Trouble(f"{self.name} printed nothing for {seconds:.0f} seconds")
            # Byte by byte, so that nothing after the line is read; the lines are few and short.
            byte = self.process.stdout.read(1)
            if not byte:
                raise Trouble(f"{self.name} ended early, with {self.wait()}")
            line += byte
        return line.decode(errors="replace").rstrip("\n")


class RunningServer(Child):
    """A server that listens; SIGTERM ends it, and it must return status 0."""

    def __init__(self, server, environment=None, listen=servers.TCP):
        self.folder = tempfile.TemporaryDirectory()
        listen = listen.format(folder=self.folder.name)
        command = [word.replace("{listen}", listen) for word in server.command]
        super().__init__(server.name, command, cpu=0, environment=environment)
        self.pid = self.process.pid
        self.address = None

    def __enter__(self):
        try:
            line = self.read_line(START_SECONDS)
            match = re.match(r"listening on (\S+:\S+)", line)
            if not match:
                raise Trouble(f"{self.name} began with '{line}' instead of 'listening on ENDPOINT'")
        except BaseException as error:
            self.__exit__(type(error))
            raise
        self.address = match.group(1)
        return self

    def __exit__(self, kind, *_):
        if kind is not None and self.process.poll():
            # The cause of the client's error.
            print(f"{self.name} had ended by itself, with {self.process.returncode}", file=sys.stderr)
        try:
            super().__exit__(kind, *_)
        finally:
            self.folder.cleanup()

    def end(self):
        self.process.terminate()
        status = self.wait()
        if status != 0:
            raise Trouble(f"{self.name} ended with {status} after SIGTERM instead of 0")

    def _thread_files(self, name):
        for folder in pathlib.Path(f"/proc/{self.pid}/task").iterdir():
            try:
                yield int(folder.name), (folder / name).read_text()
            except (FileNotFoundError, ProcessLookupError):
                pass  # a thread that has just ended

    def cpu_time(self):
        try:
            on_cpu = {thread: int(text.split()[0]) for thread, text in self._thread_files("schedstat")}
            # The name, in brackets, may contain spaces and brackets; utime is the 12th field after it.
            stat = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError as error:
            raise Trouble(f"the CPU time of {self.name} cannot be read: {error}") from None
        return CPUTime(on_cpu, int(stat[11]) / os.sysconf("SC_CLK_TCK"))

    def traced(self):
        """Whether every thread is being traced."""
        return all(re.search(r"^TracerPid:\t[1-9]", text, re.M) for _, text in self._thread_files("status"))


@dataclasses.dataclass(frozen=True)
class CPUTime:
    """The exact time per thread, from the scheduler; and user time, which most kernels sample every few ms."""
    nanoseconds: dict
    user_seconds: float

    def since(self, earlier):
        """Microseconds (all, user). The first does not include threads that began and ended in between."""
        total = sum(after - earlier.nanoseconds.get(thread, 0) for thread, after in self.nanoseconds.items())
        return total / 1e3, (self.user_seconds - earlier.user_seconds) * 1e6


class LoadClient(Child):
    """Opens its connections, warms up, and waits for the request to send the counted messages."""

    def __init__(self, address, load, warm_up, messages=None, seconds=None, lock_step=None):
        command = [
            str(servers.tools() / "load-client"), "--gate", f"--connect={address}", f"--warm-up={warm_up}",
            f"--connections={load.connections}", f"--size={load.message_bytes}", f"--in-flight={load.in_flight}"]
        command.append(f"--seconds={seconds}" if seconds else f"--messages={messages}")
        if load.floods:
            command.append(f"--floods={load.floods}")
        if load.is_churn:
            command.append("--churn")
        if lock_step:
            command.append(f"--lock-step={lock_step}")
        self.patience = 120 + (seconds or 0)
        super().__init__("the load client", command, cpu=1)

    def wait_until_ready(self):
        line = self.read_line(self.patience)
        if line != "ready":
            raise Trouble("connections failed while warming up")
        time.sleep(SETTLE_SECONDS)

    def run(self):
        """The counted messages; afterwards the connections are still open and silent."""
        self._go_on()
        result = json.loads(self.read_line(self.patience))
        if result["errors"]:
            raise Trouble(f"{result['errors']} of {result['connections']} connections failed")
        if not result["messages"]:
            raise Trouble("no message came back in the measured time")
        time.sleep(SETTLE_SECONDS)
        return result

    def end(self):
        self._go_on()
        status = self.wait()
        if status != 0:
            raise Trouble(f"the load client ended with {status}")

    def _go_on(self):
        try:
            self.process.stdin.write(b"\n")
        except BrokenPipeError:
            raise Trouble("the load client ended early") from None


def without_debug_information(program, folder):
    """Copies the program without debug information, because valgrind cannot read that of Swift 6.3."""
    copy = folder / pathlib.Path(program).name
    path = shutil.which(program)
    if path is None:
        raise Trouble(f"there is no program '{program}'")
    try:
        shutil.copy(path, copy)
        subprocess.run(["strip", "--strip-debug", copy], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Trouble(f"'{program}' cannot be copied without its debug information: {error}") from None
    return copy


class PreloadedLibrary:
    """Compiles a C file of this folder into a library that is preloaded into a server."""

    def __init__(self, source, folder):
        self.path = (pathlib.Path(folder) / source).with_suffix(".so")
        try:
            built = subprocess.run(
                ["cc", "-shared", "-fPIC", "-O2", "-o", self.path, servers.BENCHMARKS / source],
                capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            raise Trouble("there is no C compiler 'cc' in the path") from None
        if built.returncode != 0:
            raise Trouble(f"{source} cannot be compiled: {built.stderr}")


class AllocationCounter:
    """The file that contains the counters of malloc_counter.c."""

    MARK = 0x746E756F63

    def __init__(self, folder):
        self.file = pathlib.Path(folder) / "allocations"
        library = PreloadedLibrary("malloc_counter.c", folder)
        self.environment = {"LD_PRELOAD": str(library.path), "MALLOC_COUNTER_FILE": str(self.file)}

    def clear(self):
        self.file.write_bytes(bytes(16))

    def read(self):
        calls, mark = struct.unpack("=QQ", self.file.read_bytes()[:16])
        if mark != self.MARK:
            raise Trouble("the allocation counter was not loaded; is the server linked statically?")
        return calls
