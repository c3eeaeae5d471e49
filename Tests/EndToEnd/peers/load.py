"""Much load on an echo server: load.py MODE COUNT PORT PID. Prints what it measured as lines of name=value.

  slow COUNT     COUNT MiB, which a slow client reads
  resets COUNT   connections that are reset at once
  churn COUNT    connections that exchange a message and close
  idle COUNT     connections that are open at the same time
"""

import random
import resource
import select
import socket
import sys
import time

from common import CHUNK, MIB, PATIENCE, pattern, reset

mode, count, port, pid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
MESSAGE = b"x" * 64
# How much the slow client reads at a time, and how often.
BURST, PAUSE = MIB, 0.03


def anonymous_kib():
    """The anonymous memory of the server."""
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon:"))


def connect():
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def ask(connection):
    """Sends a message, and returns the milliseconds until it came back."""
    begin = time.monotonic()
    connection.sendall(MESSAGE)
    answer = b""
    while len(answer) < len(MESSAGE):
        piece = connection.recv(CHUNK)
        if not piece:
            raise SystemExit(f"the connection ended after {len(answer)} of {len(MESSAGE)} bytes")
        answer += piece
    return (time.monotonic() - begin) * 1000


def exchange(size, pause):
    """Sends bytes, reads them late, and returns the most memory that the server used. Fails if other bytes come back."""
    piece = pattern(MIB)
    sent = received = most = 0
    with connect() as connection:
        connection.setblocking(False)
        next_read = time.monotonic()
        while received < size:
            may_read = time.monotonic() >= next_read
            readable, writable, _ = select.select(
                [connection] if may_read else [], [connection] if sent < size else [], [], 0.005)
            if writable:
                offset = sent % MIB
                sent += connection.send(memoryview(piece)[offset:min(MIB, offset + size - sent)])
            if readable:
                burst = 0
                while burst < BURST and received < size:
                    try:
                        data = connection.recv(min(CHUNK, MIB - received % MIB))
                    except BlockingIOError:
                        break
                    offset = received % MIB
                    if not data or data != piece[offset:offset + len(data)]:
                        raise SystemExit(f"other bytes, or none, after {received}")
                    received += len(data)
                    burst += len(data)
                most = max(most, anonymous_kib())
                next_read = time.monotonic() + pause
    return most


def slow():
    exchange(16 * MIB, 0)
    before = anonymous_kib()
    print(f"growth_kib={exchange(count * MIB, PAUSE) - before}")


def resets():
    for number in range(count):
        reset(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE))
        # Fewer at a time than the server's backlog: the kernel would not answer more.
        if number % 50 == 0 or number == count - 1:
            with connect() as connection:
                ask(connection)


def churn():
    def cycles(number):
        for _ in range(number):
            with connect() as connection:
                ask(connection)

    cycles(count // 5)
    before = anonymous_kib()
    cycles(count)
    print(f"growth_kib={anonymous_kib() - before}")


def idle():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    first = [connect() for _ in range(100)]
    for connection in first * 5:
        ask(connection)
    before = anonymous_kib()
    connections = []
    for _ in range(count - len(first)):
        connections.append(connect())
        ask(connections[-1])
    growth = anonymous_kib() - before
    print(f"bytes_per_connection={growth * 1024 // len(connections)}")
    chosen = random.Random(count).sample(connections, min(300, len(connections)))
    pings = sorted(ask(connection) for connection in chosen)
    accepts = []
    for _ in range(50):
        begin = time.monotonic()
        with connect() as connection:
            ask(connection)
        accepts.append((time.monotonic() - begin) * 1000)
    print(f"ping_ms={round(pings[len(pings) * 19 // 20])}")
    print(f"accept_ms={round(sorted(accepts)[len(accepts) * 19 // 20])}")
    lost = 0
    for connection in connections:
        try:
            ask(connection)
        except OSError:
            lost += 1
    print(f"lost={lost}")


{"slow": slow, "resets": resets, "churn": churn, "idle": idle}[mode]()
