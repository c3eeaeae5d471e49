"""The programs under test: what starts them, who talks to them, and what their output must be."""

import atexit
import errno
import re
import shutil
import tempfile

import connecting
import datagrams
import exchange
import preload
import processes
import running
from exchange import EXACT


class Program:
    """A command of `aio`. `run` runs it once, under the conditions of a fault."""

    # One of `tracing.EXECUTABLES`; its messages begin with the name.
    executable = "aio"
    # Whether it accepts connections.
    accepts = False
    # Whether it calls `loop.sock.accept`, which leaves every error that is not one client's to the program.
    accepts_itself = False
    is_datagram = False
    # Whether it runs until SIGTERM, and then prints a summary.
    is_server = True

    def __init__(self, name, *arguments, connects=False):
        self.name, self.arguments, self.connects = name, arguments, connects

    def command(self, built, loop):
        return [built[self.executable], *self.arguments, *self.options(loop)]

    def has_reported(self, lines):
        """Whether all lines are messages of the program."""
        return all(line.startswith(f"{self.executable}: ") for line in lines)

    def run(self, built, loop, conditions, *tracing, environment=None):
        def clients(address, run):
            self.talk(address, run, conditions)

        return running.serve(self.command(built, loop), clients, *tracing, environment=environment)

    def talk(self, address, run, conditions):
        """Two clients, and a third one if the second one has failed."""
        for _ in range(2):
            run.clients.append(self.converse(address, run, conditions))
        if run.clients[-1] != EXACT:
            run.clients.append(self.converse(address, run, running.Conditions()))

    def begins_to_serve(self, call):
        """Whether a call prints the first line."""
        return call.name == "write" and call.shape.startswith("1,")

    def blocked(self, calls):
        """Whether the program has found no room for what it sends, in a run without a fault."""
        return any(found_no_room(call, "sendto") for call in calls)


class StreamServer(Program):
    """A server that sends back what it gets."""

    accepts = True
    summary = re.compile(r"\d+ connections?, .* open at once\n$")

    def __init__(self, name, *arguments, connects=False, on_path=False):
        super().__init__(name, *arguments, connects=connects)
        self.on_path = on_path

    def options(self, loop):
        return ["--listen", f"unix:{new_folder()}/socket" if self.on_path else "127.0.0.1:0", "--loop", loop]

    def converse(self, address, run, conditions):
        if run.clients:
            return exchange.converse(address, may_nudge=conditions.may_nudge)
        # The first client's bytes block the program.
        return exchange.converse(
            address, conditions.byte_count or exchange.BULK_BYTES, conditions.may_nudge,
            lambda: processes.wait_until_idle(run.number))


class OwnServer(StreamServer):
    """The server of this folder, for what no command of `aio` calls: `sending` is how it sends."""

    executable = "FaultServer"
    summary = re.compile(r"\d+ connections?\n$")

    def __init__(self, name, style, sending, accepts_itself):
        super().__init__(name, style)
        self.sending, self.accepts_itself = sending, accepts_itself

    def options(self, loop):
        return [loop]

    def blocked(self, calls):
        return any(found_no_room(call, self.sending) for call in calls)


class DatagramServer(Program):
    """A server that sends back each datagram. One that connects keeps a socket for each client."""

    is_datagram = True
    summary = re.compile(r"\d+ datagrams?, .*\n$")

    def options(self, loop):
        return ["--listen", "udp:127.0.0.1:0", "--loop", loop]

    def converse(self, address, run, conditions):
        run.kept_descriptors += self.connects
        return datagrams.converse(address, conditions)

    def blocked(self, _):
        # The kernel delivers on the loopback interface before the send returns.
        return True


class Connector(Program):
    """`aio connect`, whose standard input and output are pipes."""

    is_server = False

    def options(self, loop):
        return ["--loop", loop]

    def run(self, built, loop, conditions, *tracing, environment=None):
        return connecting.converse(self.command(built, loop), conditions, *tracing, environment=environment)

    def begins_to_serve(self, call):
        return call.name == "connect"

    def blocked(self, calls):
        # TCP takes megabytes, so only a unix socket has no room. Both are sent to in the same way.
        names = ["writev", "sendto"] if "unix" in self.name else ["writev"]
        return all(any(found_no_room(call, name) for call in calls) for name in names)


class SharingConnector(Connector):
    """The same where the pipes cannot be opened again. Then they stay blocking, and each call says that it must not wait."""

    def __init__(self, *arguments, library, **options):
        super().__init__(*arguments, **options)
        self.library = library

    def run(self, built, loop, conditions, *tracing, environment=None):
        environment = preload.environment(self.library, {"FAULTS_REOPEN": errno.EACCES}, environment)
        return super().run(built, loop, conditions, *tracing, environment=environment)

    def blocked(self, calls):
        # A write that says so has found no room.
        return any(call.name == "pwritev2" and "EAGAIN" in call.result for call in calls)


# What the arguments of a call have before and behind its number of bytes, as strace writes them.
OFFERED = {"sendto": r", (\d+), MSG_", "sendfile": r", (\d+)$"}


def found_no_room(call, name):
    """Whether a call of this name has moved less than all bytes."""
    if call.name != name:
        return False
    offered = re.findall(OFFERED.get(name, r"iov_len=(\d+)"), call.arguments)
    return "EAGAIN" in call.result or sum(map(int, offered)) > int(call.result.split()[0])


def new_folder():
    """A folder for a socket of its own, because two programs that listen in one folder wait for each other."""
    folder = tempfile.mkdtemp(prefix="faults-socket-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def all_programs(library):
    # Small buffers, so that `aio connect` meets a server that does not read.
    late = {"buffer_bytes": 1 << 15}
    return [
        StreamServer("echo-protocol", "echo", "--style", "protocol"),
        StreamServer("echo-stream", "echo", "--style", "stream"),
        StreamServer("echo-unix", "echo", "--style", "stream", on_path=True),
        OwnServer("sockets", "sockets", "sendto", accepts_itself=True),
        OwnServer("files", "files", "sendfile", accepts_itself=False),
        OwnServer("socket-files", "socket-files", "sendfile", accepts_itself=True),
        StreamServer("forward", "forward", "--to", exchange.EchoServer().address, connects=True),
        DatagramServer("echo-udp-protocol", "echo", "--style", "protocol"),
        DatagramServer("echo-udp-stream", "echo", "--style", "stream"),
        DatagramServer("forward-udp", "forward", "--to", datagrams.EchoServer().address, connects=True),
        Connector("connect", "connect", exchange.EchoServer(**late).address, connects=True),
        SharingConnector(
            "connect-shared", "connect", exchange.EchoServer(**late).address, connects=True, library=library),
        Connector("connect-unix", "connect", exchange.EchoServer(new_folder(), **late).address, connects=True),
    ]
