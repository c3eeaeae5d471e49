"""The client of a program under test, which sends back what it gets, and the echo server behind a forwarder."""

import random
import select
import socket
import threading
import time

# The seconds after which bytes count as missing, however busy the machine is.
PATIENCE = 20
# The seconds without a byte after which a client that may do so sends another one.
SILENCE = 0.3
MESSAGES, MESSAGE_BYTES = 3, 64
PIECE = 1 << 18
# So many bytes that the program's sends block while the client does not read.
BULK_BYTES = 6 << 20
FEW_BYTES = 1 << 14
PATTERN = random.Random(10).randbytes(BULK_BYTES + (1 << 16))

EXACT = "exact"


class Ended(Exception):
    """The connection ended before all bytes had come back."""


class Wrong(Exception):
    """Other bytes came, or none."""


class Client:
    """One connection, whose stream is a prefix of the pattern."""

    def __init__(self, address, may_nudge):
        self.sent = self.received = 0
        self.may_nudge = may_nudge
        is_path = isinstance(address, str)
        self.socket = socket.socket(socket.AF_UNIX if is_path else socket.AF_INET)
        # Small, so that the program's sends block soon.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 15)
        if not is_path:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(address)
        self.socket.setblocking(False)

    def send(self, end):
        """Sends what the kernel takes now, up to a position."""
        while self.sent < end:
            try:
                self.sent += self.socket.send(memoryview(PATTERN)[self.sent:min(end, self.sent + PIECE)])
            except BlockingIOError:
                return

    def receive(self):
        """Receives what is there. Returns False at EOF."""
        piece = self.socket.recv(PIECE)
        if not piece:
            return False
        if piece != PATTERN[self.received:self.received + len(piece)]:
            raise Wrong(f"other bytes came back after {self.received}")
        self.received += len(piece)
        return True

    def is_readable(self):
        return bool(select.select([self.socket], [], [], 0)[0])

    def exchange(self, end, upto_eof=False):
        """Sends up to a position, and receives as much; or up to EOF, after the write side was shut down."""
        last, is_open, is_shut = time.monotonic(), True, False
        while (is_open if upto_eof else self.received < end):
            if upto_eof and self.sent == end and not is_shut:
                self.socket.shutdown(socket.SHUT_WR)
                is_shut = True
            readable, writable, _ = select.select(
                [self.socket], [self.socket] if self.sent < end else [], [], SILENCE)
            if writable:
                self.send(end)
            if readable:
                is_open = self.receive()
            if readable or writable:
                last = time.monotonic()
                if not is_open and not (upto_eof and self.received == end):
                    raise Ended(f"EOF after {self.received} of {end} bytes")
            elif self.may_nudge and not is_shut and self.sent == end:
                # The program was made to believe that nothing had arrived, and is notified of the next arrival.
                end += 1
                self.may_nudge = False
            elif time.monotonic() - last > PATIENCE:
                raise Wrong(f"nothing comes back after {self.received} of {end} bytes")

    def converse(self, byte_count, until_idle):
        """Messages, then many bytes that are read when the program can do no more, then EOF in both directions."""
        for _ in range(MESSAGES):
            self.exchange(self.sent + MESSAGE_BYTES)
        end = self.sent + byte_count
        while select.select([], [self.socket], [], 0.02)[1] and self.sent < end:
            self.send(end)
        until_idle()
        # A request after the bulk shows the end of a pause.
        self.exchange(end)
        self.exchange(self.sent + MESSAGE_BYTES, upto_eof=True)


def converse(address, byte_count=FEW_BYTES, may_nudge=False, until_idle=lambda: None):
    """Returns `exact`, or how the connection ended. Raises `Wrong`."""
    try:
        client = Client(address, may_nudge)
    except OSError as error:
        return f"connect: {error}"
    try:
        client.converse(byte_count, until_idle)
        return EXACT
    except (OSError, Ended) as error:
        return str(error)
    finally:
        client.socket.close()


class EchoServer:
    """Sends back what it gets, on threads."""

    def __init__(self, folder=None, buffer_bytes=None):
        if folder:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(f"{folder}/socket")
            self.listener.listen(64)
        else:
            self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        if buffer_bytes:
            # Connections inherit them.
            for option in [socket.SO_RCVBUF, socket.SO_SNDBUF]:
                self.listener.setsockopt(socket.SOL_SOCKET, option, buffer_bytes)
        threading.Thread(target=self.accept, daemon=True).start()

    @property
    def address(self):
        name = self.listener.getsockname()
        return f"unix:{name}" if isinstance(name, str) else "%s:%d" % name

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    @staticmethod
    def serve(connection):
        with connection:
            try:
                while piece := connection.recv(PIECE):
                    connection.sendall(piece)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass
