#!/usr/bin/env python3
"""Runs the scenarios of this directory on CPython's asyncio, and records what happens in which iteration and order.

    asyncio_trace.py [WORD]...   the traces as JSON, {scenario: [line, ...]}; only of scenarios with a WORD in the name
    asyncio_trace.py --ours ...  the same on asyncio changed by the differences that are meant
    asyncio_trace.py --record    writes expected.json and expected-ours.json
    asyncio_trace.py --check     fails unless both files are what this interpreter does

README.md describes the language. An operation is the method of the same name below; its fields are the parameters.
"""

import asyncio
import collections
import concurrent.futures
import heapq
import inspect
import itertools
import json
import pathlib
import selectors
import socket
import sys
import threading
from fractions import Fraction

HERE = pathlib.Path(__file__).resolve().parent
EXPECTED = HERE / "expected.json"
EXPECTED_OURS = HERE / "expected-ours.json"


def seconds(milliseconds):
    """Fractions, because sums of floats would make equal deadlines differ."""
    return Fraction(milliseconds, 1000)


# The loops


class VirtualSelector(selectors.DefaultSelector):
    """Never waits. Instead, another thread acts, or the clock advances to the end of the wait."""

    def __init__(self, loop):
        super().__init__()
        self.loop = loop

    def select(self, timeout=None):
        loop = self.loop
        deadline = None if timeout is None else loop.clock + timeout
        while True:
            events = super().select(0)
            if events or deadline is not None and loop.clock >= deadline:
                # The kernel decides which of two ready descriptors comes first; a comparison needs one order.
                return sorted(events, key=lambda event: loop.rank.get(event[0].fd, -1))
            if loop.fell_asleep():
                continue
            if deadline is None:
                loop.nothing_left()
                return []
            loop.clock = deadline


class TracedLoop(asyncio.SelectorEventLoop):
    """asyncio's own loop with virtual time and counted iterations."""

    def __init__(self):
        self.clock = Fraction(0)
        self.ticks = 0
        self.rank = {}  # descriptor: place among the ends
        self.fell_asleep = lambda: False  # whether somebody did something
        self.nothing_left = self.stop
        super().__init__(VirtualSelector(self))
        self.set_debug(False)
        self._clock_resolution = Fraction(1, 10**9)

    def time(self):
        return self.clock

    def _run_once(self):
        self.ticks += 1
        super()._run_once()

    async def wait_for(self, sock, add, remove):
        """The task's wait for readiness, which asyncio has only inside its socket operations."""
        waiter = self.create_future()

        def ready():
            remove(sock)
            self.settle(waiter)

        add(sock, ready)
        await waiter

    def settle(self, waiter):
        waiter.set_result(None)


class OurLoop(TracedLoop):
    """asyncio with the intended differences, one group of methods for each."""

    def __init__(self):
        self.owner = threading.get_ident()
        self.inbox = collections.deque()
        self.sequence = itertools.count()
        super().__init__()

    # 1. The tail job: the task that waited for a source runs right after it.

    def settle(self, waiter):
        waiter.set_result(None)
        self._ready.pop()._run()

    async def sock_recv(self, sock, size):
        while True:
            try:
                return sock.recv(size)
            except BlockingIOError:
                await self.wait_for(sock, self.add_reader, self.remove_reader)

    # 2. Timers with equal deadlines run in the order of their creation.

    class Timer(asyncio.TimerHandle):
        def __lt__(self, other):
            return (self._when, self.sequence) < (other._when, other.sequence)

    def call_at(self, when, callback, *args, context=None):
        timer = self.Timer(when, callback, args, self, context)
        timer.sequence = next(self.sequence)
        timer._scheduled = True
        heapq.heappush(self._scheduled, timer)
        return timer

    # 3. Submissions of other threads are taken once per iteration before the wait, and once after it; between two runs, by the
    # owner's own calls.

    def call_soon(self, callback, *args, context=None):
        if not self.is_running():
            self.take_inbox()
        return super().call_soon(callback, *args, context=context)

    def call_soon_threadsafe(self, callback, *args, context=None):
        if threading.get_ident() == self.owner:
            if not self.is_running():
                self.take_inbox()
            return super().call_soon_threadsafe(callback, *args, context=context)
        handle = asyncio.Handle(callback, args, self, context)
        self.inbox.append(handle)
        self._write_to_self()
        return handle

    def take_inbox(self):
        while self.inbox:
            self._ready.append(self.inbox.popleft())

    def _run_once(self):
        self.take_inbox()
        super()._run_once()

    def _process_events(self, events):
        self.take_inbox()
        super()._process_events(events)


# The language


class Thrown(Exception):
    """The error of `throw`; any other error is a mistake in a scenario or in this script."""


class Scenario:
    ON_A_THREAD = {"log", "advance", "write", "callSoonThreadsafe"}

    def __init__(self, loop, name, main, pairs=(), asleep=(), difference=None):
        self.name, self.main, self.asleep = name, main, list(asleep)
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
        for rank, end in enumerate(self.ends.values()):
            end.setblocking(False)
            loop.rank[end.fileno()] = rank
        loop.set_exception_handler(self.failed)
        loop.fell_asleep = self.fell_asleep
        loop.nothing_left = self.nothing_left

    def check(self, ops, on_a_thread=False, in_a_task=False):
        """Finds a misspelt operation or field even where it never runs."""
        for op in ops:
            name, fields = self.split(op)
            method = in_a_task and getattr(self, "step_" + name, None) or getattr(self, "op_" + name, None)
            if method is None or on_a_thread and name not in self.ON_A_THREAD:
                raise SystemExit(f"{self.name}: no operation {name} here")
            try:
                inspect.signature(method).bind(**fields)
            except TypeError as error:
                raise SystemExit(f"{self.name}: {name}: {error}")
            self.check(fields.get("do", ()), on_a_thread=name == "thread", in_a_task=name == "createTask")

    @staticmethod
    def split(op):
        fields = dict(op)
        return fields.pop("op"), fields

    def trace(self):
        try:
            self.perform(self.main)
            for name, task in self.tasks.items():
                if not task.done():
                    raise SystemExit(f"{self.name}: task {name} has not ended")
                task.result()
        finally:
            for end in self.ends.values():
                end.close()
            self.loop.close()
        return self.lines

    def line(self, text):
        self.lines.append(f"{self.loop.ticks} @{int(self.loop.clock * 1000)}ms {text}")

    def perform(self, ops):
        for op in ops:
            name, fields = self.split(op)
            getattr(self, "op_" + name)(**fields)

    async def take_steps(self, id, ops):
        self.line(f"task {id}")
        for op in ops:
            name, fields = self.split(op)
            step = getattr(self, "step_" + name, None)
            if step:
                self.line(f"task {id} {await step(**fields)}")
            else:
                self.perform([op])

    # The loop's output.

    def failed(self, loop, context):
        error = context.get("exception")
        if isinstance(error, Thrown):
            self.line(f"error {error}")
        else:
            self.mistake = error or RuntimeError(context["message"])
            loop.stop()

    def fell_asleep(self):
        if not self.asleep:
            return False
        self.op_thread(self.asleep.pop(0))
        return True

    def nothing_left(self):
        self.line("idle")
        self.loop.stop()

    # Operations: callbacks and timers

    def schedule(self, kind, id, do, repeat, how):
        def callback():
            self.line(f"{kind} {id}")
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
        self.line("returned")

    def op_stop(self):
        self.loop.stop()

    def op_log(self, text):
        self.line(text)

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
            self.line(f"{kind} {id}")
            self.perform(do)

        how(callback)

    def op_removeReader(self, end):
        removed = self.loop.remove_reader(self.ends[end])
        self.line(f"removeReader {end} {str(removed).lower()}")

    def op_removeWriter(self, end):
        removed = self.loop.remove_writer(self.ends[end])
        self.line(f"removeWriter {end} {str(removed).lower()}")

    def op_write(self, end, text):
        self.ends[end].sendall(text.encode())

    def op_read(self, end, max=4096):
        try:
            self.line(f"read {end} {self.ends[end].recv(max).decode() or 'end'}")
        except BlockingIOError:
            self.line(f"read {end} nothing")

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

    def op_close(self, end):
        self.ends[end].close()

    # Operations: tasks

    def op_createTask(self, id, do=()):
        self.tasks[id] = self.loop.create_task(self.take_steps(id, do))

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
        return f"received {end} {data.decode() or 'end'}"


# The command


def load():
    scenarios = {}
    for path in sorted((HERE / "scenarios").glob("*.json")):
        for scenario in json.loads(path.read_text())["scenarios"]:
            if scenarios.setdefault(scenario["name"], scenario) is not scenario:
                raise SystemExit(f"two scenarios are named: {scenario['name']}")
    return scenarios


def traces(scenarios, loop_type):
    return {name: Scenario(loop_type(), **scenario).trace() for name, scenario in scenarios.items()}


def recordings():
    """Returns the contents of the two files: every trace of asyncio, and the traces of the library's loop that differ."""
    scenarios = load()
    asyncios, ours = traces(scenarios, TracedLoop), traces(scenarios, OurLoop)
    for name, scenario in scenarios.items():
        if (asyncios[name] != ours[name]) != ("difference" in scenario):
            verb = "lacks" if asyncios[name] != ours[name] else "does not need"
            raise SystemExit(f"{name}: {verb} the field 'difference'")
    return {EXPECTED: asyncios, EXPECTED_OURS: {name: ours[name] for name in ours if ours[name] != asyncios[name]}}


def check():
    sound = True
    for path, current in recordings().items():
        recorded = json.loads(path.read_text())
        for name in sorted(current.keys() | recorded.keys()):
            if current.get(name) != recorded.get(name):
                sound = False
                print(f"{path.name}: {name}\n  recorded {recorded.get(name)}\n  now      {current.get(name)}")
    return sound


def text(value):
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def main(arguments):
    if arguments == ["--check"]:
        return 0 if check() else 1
    if arguments == ["--record"]:
        for path, current in recordings().items():
            path.write_text(text(current))
        return 0
    loop_type = TracedLoop
    if arguments[:1] == ["--ours"]:
        loop_type, arguments = OurLoop, arguments[1:]
    wanted = {n: s for n, s in load().items() if not arguments or any(word in n for word in arguments)}
    sys.stdout.write(text(traces(wanted, loop_type)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
