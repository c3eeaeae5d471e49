"""The operations of readers and writers of tasks."""

import asyncio

from language import show


class Streams:
    def __init__(self, *arguments, **fields):
        super().__init__(*arguments, **fields)
        self.streams = {}

    def check_end(self):
        super().check_end()
        left = [id for id, (_, writer) in self.streams.items() if not writer.is_closing()]
        if left:
            raise SystemExit(f"{self.name}: not closed: {left}")

    def add(self, id, streams):
        self.streams[id] = streams
        self.transports[id] = streams[1].transport

    # Steps

    async def step_openConnection(self, id, to, limit=2**16):
        connect = self.target(to, asyncio.open_connection, asyncio.open_unix_connection)
        self.add(id, await connect(limit=limit))
        return f"opened {id}"

    async def step_startServer(self, id, do, limit=2**16, path=None):
        async def handle(*streams):
            self.accepted[id] += 1
            name = f"{id}{self.accepted[id]}"
            self.add(name, streams)
            self.tasks[name] = asyncio.current_task()
            await self.take_steps(name, self.naming(name, do))

        start = self.local(path, asyncio.start_server, asyncio.start_unix_server)
        self.add_server(id, await start(handle, limit=limit))
        return f"started {id}"

    async def step_readLine(self, id):
        return f"read {show(await self.streams[id][0].readline())}"

    async def step_readUntil(self, id, text):
        return f"read {show(await self.streams[id][0].readuntil(text.encode()))}"

    async def step_readExactly(self, id, count):
        return f"read {show(await self.streams[id][0].readexactly(count))}"

    async def step_readSome(self, id, max):
        return f"read {show(await self.streams[id][0].read(max))}"

    async def step_readAll(self, id):
        return f"read {show(await self.streams[id][0].read())}"

    async def step_writeStream(self, id, text, times=1):
        self.streams[id][1].write(text.encode() * times)
        await self.streams[id][1].drain()
        return "wrote"

    async def step_drainStream(self, id):
        await self.streams[id][1].drain()
        return "drained"

    async def step_streamClosed(self, id):
        await self.streams[id][1].wait_closed()
        return f"saw the end of {id}"

    # Operations

    def op_showEOF(self, id):
        self.line(f"{id} {'at EOF' if self.streams[id][0].at_eof() else 'not at EOF'}", id)
