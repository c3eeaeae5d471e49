"""The operations of datagrams."""

import asyncio

from language import show
from transports import Handlers


class TracedDatagramProtocol(Handlers, asyncio.DatagramProtocol):
    def __init__(self, scenario, id, error=(), **fields):
        super().__init__(scenario, id, **fields)
        self.error = scenario.naming(id, error)

    def datagram_received(self, data, address):
        self.scenario.last[self.id] = data
        self.scenario.senders[self.id] = address
        received = show(data) if data else "nothing"
        self.call(f"received {received} from {self.scenario.name_of(address)}", self.data)

    def error_received(self, error):
        self.call(f"error: {self.scenario.reason(error)}", self.error)


class Datagrams:
    def __init__(self, *arguments, **fields):
        super().__init__(*arguments, **fields)
        self.senders = {}

    def name_of(self, address):
        return next((id for id, other in self.addresses.items() if other == address), "somebody")

    # Steps

    async def step_createDatagramEndpoint(self, id, to=None, protocol={}):
        transport, _ = await self.loop.create_datagram_endpoint(
            lambda: TracedDatagramProtocol(self, id, **protocol),
            local_addr=("127.0.0.1", 0),
            remote_addr=to and self.addresses[to],
        )
        self.addresses[id] = transport.get_extra_info("sockname")
        return f"created {id}"

    # Operations

    def op_sendDatagram(self, id, text="", times=1, to=None):
        address = to and self.addresses[to]
        self.attempt(id, lambda: self.transports[id].sendto(text.encode() * times, address))

    def op_echoDatagram(self, id):
        self.attempt(id, lambda: self.transports[id].sendto(self.last[id], self.senders[id]))
