"""asyncio's loop in virtual time with counted iterations, and the same loop with the intended differences."""

import asyncio
import collections
import heapq
import itertools
import selectors
import threading
from fractions import Fraction


def seconds(milliseconds):
    """Fractions, because sums of floats would make equal deadlines differ."""
    return Fraction(milliseconds, 1000)


class VirtualSelector(selectors.DefaultSelector):
    """Never waits. Instead, another thread acts, or the clock advances to the end of the wait."""

    def __init__(self, loop):
        super().__init__()
        self.loop = loop
        self.settling = 0

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
            # Real time, in which the kernel passes on what one socket has sent to another.
            if self.settling and super().select(self.settling):
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
