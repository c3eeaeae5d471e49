"""The operations of pipes."""


class Pipes:
    async def step_connectReadPipe(self, id, end, protocol={}):
        await self.loop.connect_read_pipe(lambda: self.make_protocol(id, protocol), self.ends[end])
        return f"connected {id}"

    async def step_connectWritePipe(self, id, end, protocol={}):
        await self.loop.connect_write_pipe(lambda: self.make_protocol(id, protocol), self.ends[end])
        return f"connected {id}"
