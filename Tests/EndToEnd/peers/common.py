"""Functions that targets and clients share."""

import random
import socket
import struct

MIB = 1 << 20
CHUNK = 1 << 16
# The seconds after which data counts as missing.
PATIENCE = 60


def pattern(size):
    """The same bytes on both sides, without a period that would hide a wrong order."""
    return random.Random(size).randbytes(size)


def receive_all(connection):
    """Returns everything up to EOF."""
    pieces = []
    while piece := connection.recv(CHUNK):
        pieces.append(piece)
    return b"".join(pieces)


def receive(connection, count):
    """Returns at least `count` bytes."""
    received = 0
    while received < count:
        piece = connection.recv(CHUNK)
        if not piece:
            raise SystemExit(f"the connection ended after {received} of {count} bytes")
        received += len(piece)


def reset(connection):
    """Resets the connection: the other side gets ECONNRESET."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
