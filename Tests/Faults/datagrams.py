"""The client of a program that sends back datagrams, and the echo server behind a forwarder of datagrams."""

import select
import socket
import threading
import time

from exchange import EXACT, PATIENCE, PATTERN, SILENCE, Wrong

# The largest one is more than a program copies in order to send it with others.
SINGLE = [64, 1400, 20_000]
# Several at once, which the program receives and sends with one call.
BURST = [64, 65, 66, 67, 1400, 20_000, 68, 69]
# How often a datagram is repeated.
MOST_REPEATS = 4


class Client:
    """One socket. No datagram equals another one, so each answer belongs to one of them."""

    def __init__(self, address, conditions):
        self.may_lose, self.may_nudge = conditions.may_lose, conditions.may_nudge
        self.count = 0
        # The datagrams that were not answered, with their sizes.
        self.unanswered = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(address)

    def send(self, size):
        """Returns what was sent."""
        self.count += 1
        name = b"%d:" % self.count
        datagram = name + PATTERN[:size - len(name)]
        self.unanswered[datagram] = size
        self.socket.send(datagram)
        return datagram

    def receive(self):
        datagram = self.socket.recv(1 << 16)
        if self.unanswered.pop(datagram, None) is None:
            raise Wrong(f"a datagram of {len(datagram)} bytes came back that was not sent, or was sent once")
        return datagram

    def exchange(self, sizes):
        """Sends datagrams at once, and waits for the answers. Repeats those that are not answered, if they may be lost."""
        # What was sent, with what it was sent as first.
        wanted = {self.send(size): number for number, size in enumerate(sizes)}
        repeats, last = 0, time.monotonic()
        while wanted:
            if select.select([self.socket], [], [], SILENCE)[0]:
                number = wanted.get(self.receive())
                wanted = {datagram: other for datagram, other in wanted.items() if other != number}
                last = time.monotonic()
            elif self.may_nudge:
                # The program was made to believe that nothing had arrived, and is notified of the next arrival.
                self.may_nudge = False
                wanted[self.send(SINGLE[0])] = len(sizes)
            elif self.may_lose and repeats < MOST_REPEATS:
                repeats += 1
                for number in sorted(set(wanted.values())):
                    wanted[self.send(sizes[number])] = number
            elif time.monotonic() - last > PATIENCE:
                raise Wrong(f"{len(set(wanted.values()))} of {self.count} datagrams are not answered")

    def converse(self):
        for size in SINGLE:
            self.exchange([size])
        self.exchange(BURST)
        # After a fault of the burst.
        self.exchange(SINGLE[:1])


def converse(address, conditions):
    """Returns `exact`, or how many datagrams were lost. Raises `Wrong`."""
    client = Client(address, conditions)
    try:
        client.converse()
    except OSError as error:
        return str(error)
    finally:
        client.socket.close()
    # An answer would have come before the one that was the last.
    return f"{len(client.unanswered)} of {client.count} datagrams were lost" if client.unanswered else EXACT


class EchoServer:
    """Sends back each datagram, on a thread."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        threading.Thread(target=self.serve, daemon=True).start()

    @property
    def address(self):
        return "udp:%s:%d" % self.socket.getsockname()

    def serve(self):
        while True:
            try:
                self.socket.sendto(*self.socket.recvfrom(1 << 16))
            except ConnectionRefusedError:
                pass
