"""What targets and clients share."""

import random
import socket
import struct

MIB = 1 << 20
CHUNK = 1 << 16
# Seconds; what has not come by then never comes.
PATIENCE = 60


def pattern(size):
    """The same bytes on both sides, without a period that would hide a mix-up."""
    return random.Random(size).randbytes(size)


def receive_all(connection):
    """Everything up to the end."""
    pieces = []
    while piece := connection.recv(CHUNK):
        pieces.append(piece)
    return b"".join(pieces)


def receive(connection, count):
    """At least `count` bytes."""
    received = 0
    while received < count:
        piece = connection.recv(CHUNK)
        if not piece:
            raise SystemExit(f"the connection ended after {received} of {count} bytes")
        received += len(piece)


def reset(connection):
    """Breaks the connection off: the other side gets ECONNRESET."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
