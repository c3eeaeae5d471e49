"""The operations of a scenario that need no transport. README.md describes the language."""

import asyncio
import collections
import concurrent.futures
import errno
import inspect
import io
import os
import socket
import zlib

from loops import seconds


class Thrown(Exception):
    """The error of `throw`; any other error is a mistake in a scenario or in this script."""


def show(data):
    """Bytes in a line: their text if they are few, otherwise their number and a checksum."""
    if len(data) > 60:
        return f"{len(data)} bytes, {zlib.adler32(data):08x}"
    return data.decode().replace("\r", "\\r").replace("\n", "\\n") or "end"


class PipeEnd(io.FileIO):
    """An end of a pipe with the methods of a socket."""

    def setblocking(self, blocking):
        os.set_blocking(self.fileno(), blocking)

    def sendall(self, data):
        if self.write(data) != len(data):
            raise SystemExit("the write was cut short")

    def recv(self, size):
        data = self.read(size)
        if data is None:
            raise BlockingIOError
        return data


class Language:
    ON_A_THREAD = {"log", "advance", "write", "callSoonThreadsafe"}
    STARTS_TASKS = {"createTask", "startServer"}

    def __init__(self, loop, name, main, pairs=(), pipes=(), asleep=(), instants=False, difference=None, ours=None):
        self.name, self.main, self.asleep, self.instants = name, main, list(asleep), instants
        self.check(main)
        for ops in asleep:
            self.check(ops, on_a_thread=True)
        self.loop = loop
        self.lines = []
        self.mistake = None
        self.ends, self.handles, self.tasks = {}, {}, {}
        self.futures = collections.defaultdict(loop.create_future)
        for pair in pairs:
            self.ends[pair + ".a"], self.ends[pair + ".b"] = socket.socketpair()
        for pipe in pipes:
            read, write = os.pipe()
            self.ends[pipe + ".r"], self.ends[pipe + ".w"] = PipeEnd(read, "rb"), PipeEnd(write, "wb")
        for rank, end in enumerate(self.ends.values()):
            end.setblocking(False)
            loop.rank[end.fileno()] = rank
        loop.set_exception_handler(self.failed)
        loop.fell_asleep = self.fell_asleep
        loop.nothing_left = self.nothing_left
        if instants:
            loop._selector.settling = 0.005

    def check(self, ops, on_a_thread=False, in_a_task=False):
        """Finds a misspelt operation or field even where it never runs."""
        for op in ops:
            name, fields = self.split(op)
            method = in_a_task and getattr(self, "step_" + name, None) or getattr(self, "op_" + name, None)
            if method and method.__name__.startswith("step_"):
                fields.pop("within", None)
            if method is None or on_a_thread and name not in self.ON_A_THREAD:
                raise SystemExit(f"{self.name}: no operation {name} here")
            try:
                inspect.signature(method).bind(**fields)
            except TypeError as error:
                raise SystemExit(f"{self.name}: {name}: {error}")
            self.check(fields.get("do", ()), on_a_thread=name == "thread", in_a_task=name in self.STARTS_TASKS)
            for handler in fields.get("protocol", {}).values():
                self.check(handler if isinstance(handler, list) else ())

    @staticmethod
    def split(op):
        fields = dict(op)
        return fields.pop("op"), fields

    @classmethod
    def naming(cls, id, value):
        """Returns the operations of a connection, in which "@" is its name."""
        if isinstance(value, list):
            return [cls.naming(id, element) for element in value]
        if isinstance(value, dict):
            return {key: cls.naming(id, element) for key, element in value.items()}
        return id if value == "@" else value

    def trace(self):
        try:
            self.perform(self.main)
            for name, task in self.tasks.items():
                if not task.done():
                    raise SystemExit(f"{self.name}: task {name} has not ended")
                task.result()
            self.check_end()
        finally:
            for end in self.ends.values():
                end.close()
            self.loop.close()
        if not self.instants:
            return [f"{tick} @{ms}ms {text}" for tick, ms, actor, text in self.lines]
        # Two objects may act at one instant in any order, and one of them in several iterations.
        return [f"@{ms}ms {text}" for tick, ms, actor, text in sorted(self.lines, key=lambda line: line[1:3])]

    def check_end(self):
        """Finds what a scenario has to close."""

    def line(self, text, actor=""):
        self.lines.append((self.loop.ticks, int(self.loop.clock * 1000), actor, text))

    def perform(self, ops):
        for op in ops:
            name, fields = self.split(op)
            getattr(self, "op_" + name)(**fields)

    async def take_steps(self, id, ops):
        self.line(f"task {id}", id)
        for op in ops:
            name, fields = self.split(op)
            step = getattr(self, "step_" + name, None)
            if not step:
                self.perform([op])
                continue
            limit = fields.pop("within", None)
            try:
                said = await asyncio.wait_for(step(**fields), limit and seconds(limit))
            except BaseException as error:
                said = f"failed: {self.reason(error)}"
            self.line(f"task {id} {said}", id)

    @staticmethod
    def reason(error):
        """The words for an error that belongs to a scenario. Any other error is a mistake."""
        match error:
            case Thrown():
                return str(error)
            case asyncio.IncompleteReadError():
                return f"incomplete, {show(error.partial)}"
            case asyncio.LimitOverrunError() | ValueError():
                return "too long"
            case asyncio.CancelledError():
                return "cancelled"
            case TimeoutError():
                return "timed out"
            case BrokenPipeError():
                return "EPIPE"
            case OSError(errno=int()):
                return errno.errorcode[error.errno]
            case ConnectionError():
                return "connection lost"
            case asyncio.BrokenBarrierError():
                return "broken"
            case RuntimeError():
                return "refused"
        raise error

    # The loop's output.

    def failed(self, loop, context):
        error = context.get("exception")
        try:
            text = self.reason(error or SystemExit(context["message"]))
        except BaseException as mistake:
            self.mistake = mistake
            loop.stop()
        else:
            self.line(f"error {text}", text)

    def fell_asleep(self):
        if not self.asleep:
            return False
        self.op_thread(self.asleep.pop(0))
        return True

    def nothing_left(self):
        self.line("idle", "~")
        self.loop.stop()

    # Operations: callbacks and timers

    def schedule(self, kind, id, do, repeat, how):
        def callback():
            self.line(f"{kind} {id}", id)
            self.perform(do)
            if repeat > 1:
                self.schedule(kind, id, do, repeat - 1, how)

        self.handles[id] = how(callback)

    def op_callSoon(self, id, do=(), repeat=1):
        self.schedule("soon", id, do, repeat, self.loop.call_soon)

    def op_callLater(self, id, after, do=(), repeat=1):
        self.schedule("timer", id, do, repeat, lambda callback: self.loop.call_later(seconds(after), callback))

    def op_callAt(self, id, at, do=()):
        self.schedule("timer", id, do, 1, lambda callback: self.loop.call_at(seconds(at), callback))

    def op_callSoonThreadsafe(self, id, do=()):
        self.schedule("threadsafe", id, do, 1, self.loop.call_soon_threadsafe)

    def op_cancel(self, id):
        self.handles[id].cancel()

    # Operations: running

    def op_run(self):
        if self.loop.is_running():
            try:
                self.loop.run_forever()
            except RuntimeError:
                self.line("run refused")
            return
        self.loop.run_forever()
        if self.mistake:
            raise self.mistake
        self.line("returned", "~")

    def op_stop(self):
        self.loop.stop()

    def op_log(self, text, id=""):
        self.line(f"{id} {text}" if id else text, id)

    def op_throw(self, text):
        raise Thrown(text)

    def op_advance(self, ms):
        self.loop.clock += seconds(ms)

    def op_thread(self, do):
        with concurrent.futures.ThreadPoolExecutor(1) as other:
            other.submit(self.perform, do).result()

    # Operations: readiness

    def op_addReader(self, id, end, do=()):
        self.watch("reader", id, do, lambda callback: self.loop.add_reader(self.ends[end], callback))

    def op_addWriter(self, id, end, do=()):
        self.watch("writer", id, do, lambda callback: self.loop.add_writer(self.ends[end], callback))

    def watch(self, kind, id, do, how):
        def callback():
            self.line(f"{kind} {id}", id)
            self.perform(do)

        how(callback)

    def op_removeReader(self, end):
        removed = self.loop.remove_reader(self.ends[end])
        self.line(f"removeReader {end} {str(removed).lower()}", end)

    def op_removeWriter(self, end):
        removed = self.loop.remove_writer(self.ends[end])
        self.line(f"removeWriter {end} {str(removed).lower()}", end)

    def op_write(self, end, text):
        self.ends[end].sendall(text.encode())

    def op_read(self, end, max=4096):
        try:
            self.line(f"read {end} {show(self.ends[end].recv(max))}", end)
        except BlockingIOError:
            self.line(f"read {end} nothing", end)
        except OSError as error:
            self.line(f"read {end} failed: {self.reason(error)}", end)

    def op_fill(self, end):
        try:
            while True:
                self.ends[end].send(bytes(65536))
        except BlockingIOError:
            pass

    def op_drain(self, end):
        try:
            while self.ends[end].recv(65536):
                pass
        except BlockingIOError:
            pass

    def op_shutdown(self, end):
        self.ends[end].shutdown(socket.SHUT_WR)

    def op_close(self, end):
        self.ends[end].close()

    # Operations: tasks

    def op_createTask(self, id, do=()):
        self.tasks[id] = self.loop.create_task(self.take_steps(id, do))

    def op_cancelTask(self, id):
        self.tasks[id].cancel()

    def op_resolve(self, future):
        self.futures[future].set_result(None)

    # Steps of tasks that may wait. Each returns what the task prints when it continues.

    async def step_yield(self):
        await asyncio.sleep(0)
        return "yielded"

    async def step_sleep(self, ms):
        await asyncio.sleep(seconds(ms))
        return "slept"

    async def step_await(self, future):
        await self.futures[future]
        return f"got {future}"

    async def step_join(self, id):
        await self.tasks[id]
        return f"joined {id}"

    async def step_readable(self, end):
        await self.loop.wait_for(self.ends[end], self.loop.add_reader, self.loop.remove_reader)
        return f"readable {end}"

    async def step_writable(self, end):
        await self.loop.wait_for(self.ends[end], self.loop.add_writer, self.loop.remove_writer)
        return f"writable {end}"

    async def step_recv(self, end, max=4096):
        data = await self.loop.sock_recv(self.ends[end], max)
        return f"received {end} {show(data)}"
