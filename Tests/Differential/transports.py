"""The operations of protocols, transports and servers."""

import asyncio
import collections
import functools
import os
import tempfile

from language import show


class Handlers:
    """What a protocol does when it is called: the field `protocol`."""

    def __init__(
        self, scenario, id, made=(), data=(), eof=(), lost=(), paused=(), resumed=(), staysOpen=None, quiet=False,
        name="@",
    ):
        self.scenario, self.id, self.quiet = scenario, id, quiet
        named = scenario.naming
        self.name, self.staysOpen = named(id, name), staysOpen
        self.made, self.data, self.eof = named(id, made), named(id, data), named(id, eof)
        self.lost, self.paused, self.resumed = named(id, lost), named(id, paused), named(id, resumed)

    def call(self, text, do):
        self.scenario.line(f"{self.name} {text}", self.id)
        self.scenario.perform(do)

    def connection_made(self, transport):
        self.scenario.transports[self.id] = transport
        self.scenario.open.add(self.id)
        self.call("made", self.made)

    def received(self, data):
        if not self.quiet:
            self.scenario.received(self.id, f"{self.name} received", data)
        self.scenario.perform(self.data)

    def eof_received(self):
        self.call("eof", self.eof)
        return self.staysOpen

    def connection_lost(self, error):
        self.scenario.open.discard(self.id)
        self.call(f"lost: {self.scenario.reason(error)}" if error else "lost", self.lost)

    def pause_writing(self):
        self.call("paused", self.paused)

    def resume_writing(self):
        self.call("resumed", self.resumed)


class TracedProtocol(Handlers, asyncio.Protocol):
    def data_received(self, data):
        self.received(data)


class TracedBufferedProtocol(Handlers, asyncio.BufferedProtocol):
    """Lends `buffer` bytes."""

    def __init__(self, scenario, id, buffer, **fields):
        super().__init__(scenario, id, **fields)
        self.memory = bytearray(buffer)

    def get_buffer(self, sizehint):
        return self.memory

    def buffer_updated(self, count):
        self.received(bytes(self.memory[:count]))


class Transports:
    def __init__(self, *arguments, **fields):
        super().__init__(*arguments, **fields)
        self.transports, self.servers, self.addresses = {}, {}, {}
        self.open, self.last = set(), {}
        self.accepted = collections.Counter()
        self.directory = None

    def check_end(self):
        super().check_end()
        if self.directory:
            self.directory.cleanup()
        left = self.open | {id for id, server in self.servers.items() if server.sockets}
        if left:
            raise SystemExit(f"{self.name}: not closed: {sorted(left)}")

    def make_protocol(self, id, fields):
        return (TracedBufferedProtocol if "buffer" in fields else TracedProtocol)(self, id, **fields)

    def make_accepted(self, server, fields):
        self.accepted[server] += 1
        return self.make_protocol(f"{server}{self.accepted[server]}", fields)

    def received(self, id, text, data):
        """Prints bytes. Those of one instant are one line, because the kernel may deliver them in several pieces."""
        self.last[id] = data
        now = int(self.loop.clock * 1000)
        if self.instants:
            earlier = next((line for line in reversed(self.lines) if line[1:3] == (now, id)), None)
            if earlier and isinstance(earlier[3], Received) and earlier[3].text == text:
                earlier[3].data += data
                return
        self.line(Received(text, data), id)

    def path(self, name):
        """Returns the path of a unix socket in a directory of the scenario."""
        if not self.directory:
            self.directory = tempfile.TemporaryDirectory()
        return os.path.join(self.directory.name, name)

    def target(self, to, tcp, unix):
        """Returns the function of asyncio that connects to an end, a server, or a path, without its protocol."""
        if to in self.ends:
            return functools.partial(tcp, sock=self.ends[to])
        address = self.path(to[1:]) if to.startswith("/") else self.addresses[to]
        if isinstance(address, str):
            return functools.partial(unix, path=address)
        return functools.partial(tcp, host=address[0], port=address[1])

    def local(self, path, tcp, unix):
        """Returns the function of asyncio that listens at a path, or on a TCP port."""
        if path:
            return functools.partial(unix, path=self.path(path))
        return functools.partial(tcp, host="127.0.0.1", port=0)

    def add_server(self, id, server):
        self.servers[id] = server
        self.addresses[id] = server.sockets[0].getsockname()

    def attempt(self, id, call):
        try:
            call()
        except (RuntimeError, ValueError, NotImplementedError):
            self.line(f"{id} refused", id)

    # Steps

    async def step_connect(self, id, to, protocol={}):
        connect = self.target(to, self.loop.create_connection, self.loop.create_unix_connection)
        await connect(lambda: self.make_protocol(id, protocol))
        return f"connected {id}"

    async def step_createServer(self, id, protocol={}, starts=True, path=None):
        create = self.local(path, self.loop.create_server, self.loop.create_unix_server)
        self.add_server(id, await create(lambda: self.make_accepted(id, protocol), start_serving=starts))
        return f"created {id}"

    async def step_startServing(self, id):
        await self.servers[id].start_serving()
        return f"started {id}"

    async def step_serverClosed(self, id):
        await self.servers[id].wait_closed()
        return f"saw the end of {id}"

    # Operations

    def op_closeServer(self, id):
        if id in self.servers:
            self.servers[id].close()

    def op_showServer(self, id):
        self.line(f"{id} {'serving' if self.servers[id].is_serving() else 'not serving'}", id)

    def op_send(self, id, text="", times=1):
        self.attempt(id, lambda: self.transports[id].write(text.encode() * times))

    def op_sendPieces(self, id, pieces):
        self.attempt(id, lambda: self.transports[id].writelines([piece.encode() for piece in pieces]))

    def op_echo(self, id):
        self.attempt(id, lambda: self.transports[id].write(self.last[id]))

    def op_sendEOF(self, id):
        self.attempt(id, self.transports[id].write_eof)

    def op_closeTransport(self, id):
        self.transports[id].close()

    def op_abort(self, id):
        self.transports[id].abort()

    def op_pauseReading(self, id):
        self.transports[id].pause_reading()

    def op_resumeReading(self, id):
        self.transports[id].resume_reading()

    def op_setLimits(self, id, low=None, high=None):
        self.attempt(id, lambda: self.transports[id].set_write_buffer_limits(high=high, low=low))

    def op_showLimits(self, id):
        low, high = self.transports[id].get_write_buffer_limits()
        self.line(f"{id} limits {low}, {high}", id)

    def op_setProtocol(self, id, protocol):
        self.transports[id].set_protocol(self.make_protocol(id, protocol))

    def op_show(self, id):
        transport = self.transports[id]
        closing = "closing" if transport.is_closing() else "open"
        reading = "reading" if transport.is_reading() else "not reading"
        buffer = "bytes buffered" if transport.get_write_buffer_size() else "nothing buffered"
        self.line(f"{id} {closing}, {reading}, {buffer}", id)


class Received:
    """A line with bytes that may grow."""

    def __init__(self, text, data):
        self.text, self.data = text, bytearray(data)

    def __format__(self, _):
        return f"{self.text} {show(self.data)}"
