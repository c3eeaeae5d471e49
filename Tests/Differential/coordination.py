"""The operations of locks, events, conditions, semaphores, barriers and queues."""

import asyncio


class Coordination:
    KINDS = {
        "lock": asyncio.Lock,
        "event": asyncio.Event,
        "condition": asyncio.Condition,
        "semaphore": asyncio.Semaphore,
        "boundedSemaphore": asyncio.BoundedSemaphore,
        "barrier": asyncio.Barrier,
        "queue": asyncio.Queue,
        "lifoQueue": asyncio.LifoQueue,
        "priorityQueue": asyncio.PriorityQueue,
    }

    def __init__(self, *arguments, **fields):
        super().__init__(*arguments, **fields)
        self.objects = {}

    def try_object(self, id, call):
        """Prints the errors of a call that does not wait."""
        try:
            call()
        except (RuntimeError, ValueError):
            self.line(f"{id} refused", id)
        except asyncio.QueueFull:
            self.line(f"{id} full", id)
        except asyncio.QueueEmpty:
            self.line(f"{id} empty", id)

    # Operations

    def op_make(self, id, kind, count=None):
        self.objects[id] = self.KINDS[kind](*([] if count is None else [count]))

    def op_release(self, id):
        self.try_object(id, self.objects[id].release)

    def op_set(self, id):
        self.objects[id].set()

    def op_clear(self, id):
        self.objects[id].clear()

    def op_notify(self, id, count=1):
        self.try_object(id, lambda: self.objects[id].notify(count))

    def op_notifyAll(self, id):
        self.try_object(id, self.objects[id].notify_all)

    def op_putNow(self, id, text):
        self.try_object(id, lambda: self.objects[id].put_nowait(text))

    def op_getNow(self, id):
        self.try_object(id, lambda: self.line(f"{id} gave {self.objects[id].get_nowait()}", id))

    def op_taskDone(self, id):
        self.try_object(id, self.objects[id].task_done)

    def op_showLocked(self, id):
        self.line(f"{id} {'locked' if self.objects[id].locked() else 'not locked'}", id)

    def op_showSet(self, id):
        self.line(f"{id} {'set' if self.objects[id].is_set() else 'not set'}", id)

    def op_showQueue(self, id):
        queue = self.objects[id]
        full, empty = ", full" if queue.full() else "", ", empty" if queue.empty() else ""
        self.line(f"{id} holds {queue.qsize()}{full}{empty}", id)

    def op_showBarrier(self, id):
        barrier = self.objects[id]
        self.line(f"{id} {barrier.n_waiting} of {barrier.parties} wait{', broken' if barrier.broken else ''}", id)

    # Steps

    async def step_acquire(self, id):
        await self.objects[id].acquire()
        return f"acquired {id}"

    async def step_waitFor(self, id):
        await self.objects[id].wait()
        return f"waited for {id}"

    async def step_passBarrier(self, id):
        return f"passed {id} with number {await self.objects[id].wait()}"

    async def step_put(self, id, text):
        await self.objects[id].put(text)
        return f"put {text} into {id}"

    async def step_get(self, id):
        return f"got {await self.objects[id].get()} from {id}"

    async def step_joinQueue(self, id):
        await self.objects[id].join()
        return f"joined {id}"

    async def step_breakBarrier(self, id):
        await self.objects[id].abort()
        return f"broke {id}"

    async def step_resetBarrier(self, id):
        await self.objects[id].reset()
        return f"reset {id}"
