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

    # Whether it accepts connections.
    accepts = False
    is_datagram = False
    # Whether it runs until SIGTERM, and then prints a summary.
    is_server = True

    def __init__(self, name, *arguments, connects=False):
        self.name, self.arguments, self.connects = name, arguments, connects

    def run(self, aio, loop, conditions, *tracing, environment=None):
        def clients(address, run):
            self.talk(address, run, conditions)

        return running.serve(self.command(aio, loop), clients, *tracing, environment=environment)

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

    def command(self, aio, loop):
        listen = f"unix:{new_folder()}/socket" if self.on_path else "127.0.0.1:0"
        return [aio, *self.arguments, "--listen", listen, "--loop", loop]

    def converse(self, address, run, conditions):
        if run.clients:
            return exchange.converse(address, may_nudge=conditions.may_nudge)
        # The first client's bytes block the program.
        return exchange.converse(
            address, conditions.byte_count or exchange.BULK_BYTES, conditions.may_nudge,
            lambda: processes.wait_until_idle(run.number))


class DatagramServer(Program):
    """A server that sends back each datagram. One that connects keeps a socket for each client."""

    is_datagram = True
    summary = re.compile(r"\d+ datagrams?, .*\n$")

    def command(self, aio, loop):
        return [aio, *self.arguments, "--listen", "udp:127.0.0.1:0", "--loop", loop]

    def converse(self, address, run, conditions):
        run.kept_descriptors += self.connects
        return datagrams.converse(address, conditions)

    def blocked(self, _):
        # The kernel delivers on the loopback interface before the send returns.
        return True


class Connector(Program):
    """`aio connect`, whose standard input and output are pipes."""

    is_server = False

    def command(self, aio, loop):
        return [aio, *self.arguments, "--loop", loop]

    def run(self, aio, loop, conditions, *tracing, environment=None):
        return connecting.converse(self.command(aio, loop), conditions, *tracing, environment=environment)

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

    def run(self, aio, loop, conditions, *tracing, environment=None):
        environment = preload.environment(self.library, {"FAULTS_REOPEN": errno.EACCES}, environment)
        return super().run(aio, loop, conditions, *tracing, environment=environment)

    def blocked(self, calls):
        # A write that says so has found no room.
        return any(call.name == "pwritev2" and "EAGAIN" in call.result for call in calls)


def found_no_room(call, name):
    """Whether a call of this name has moved less than all bytes."""
    if call.name != name:
        return False
    offered = re.findall(r", (\d+), MSG_" if name == "sendto" else r"iov_len=(\d+)", call.arguments)
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
        StreamServer("forward", "forward", "--to", exchange.EchoServer().address, connects=True),
        DatagramServer("echo-udp-protocol", "echo", "--style", "protocol"),
        DatagramServer("echo-udp-stream", "echo", "--style", "stream"),
        DatagramServer("forward-udp", "forward", "--to", datagrams.EchoServer().address, connects=True),
        Connector("connect", "connect", exchange.EchoServer(**late).address, connects=True),
        SharingConnector(
            "connect-shared", "connect", exchange.EchoServer(**late).address, connects=True, library=library),
        Connector("connect-unix", "connect", exchange.EchoServer(new_folder(), **late).address, connects=True),
    ]
