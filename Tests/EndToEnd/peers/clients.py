"""Clients of several kinds; the status is 0 on success: clients.py MODE PORT [ARGUMENT]..."""

import hashlib
import os
import pathlib
import select
import socket
import sys
import threading
import time

from common import CHUNK, MIB, PATIENCE, pattern, receive, receive_all, reset

# How often the resetting modes do so, because the race with the other side has many outcomes.
ROUNDS = 20
# How long a write must make no progress to count as stuck: a number of polls of 10 ms, because time also passes while a busy
# machine runs neither side.
LOOKS = 50


def connect(port):
    return socket.create_connection(("127.0.0.1", int(port)), timeout=PATIENCE)


def wait_for_ever():
    print("ready", flush=True)
    time.sleep(3600)


def idle(port):
    """Sends and receives a little, and keeps the connection open."""
    connection = connect(port)
    connection.sendall(b"hello")
    wait_for_ever()


def never_read(port):
    """Sends until the server reads no more, and keeps the connection open."""
    connection = connect(port)
    connection.setblocking(False)
    looks = 0
    while looks < LOOKS:
        try:
            connection.send(bytes(CHUNK))
            looks = 0
        except BlockingIOError:
            time.sleep(0.01)
            looks += 1
    wait_for_ever()


def whole_answer(port, mib, clients=1):
    """Half-closes after the request and expects all data that follows."""
    wanted = pattern(int(mib) * MIB)
    results = []
    # All are connected before the first request, so that they are certainly open at the same time.
    connected = threading.Barrier(int(clients))

    def ask():
        with connect(port) as connection:
            connected.wait(PATIENCE)
            connection.sendall(b"request")
            connection.shutdown(socket.SHUT_WR)
            results.append(receive_all(connection))

    threads = [threading.Thread(target=ask) for _ in range(int(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if results != [wanted] * int(clients):
        sys.exit(f"answers of {[len(result) for result in results]} bytes instead of {len(wanted)}")


def send_after_end(port, mib, log):
    """Waits for EOF, then sends; the target's log says what arrived."""
    data = pattern(int(mib) * MIB)
    with connect(port) as connection:
        if receive_all(connection):
            sys.exit("something came instead of the end")
        connection.sendall(data)
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        lines = pathlib.Path(log).read_text().split()
        if len(lines) > 1:
            if lines[1] != hashlib.sha256(data).hexdigest():
                sys.exit("the target received something else")
            return
        time.sleep(0.02)
    sys.exit("the target did not see the end")


def sees_end(port, times=1):
    for _ in range(int(times)):
        with connect(port) as connection:
            try:
                connection.sendall(b"request")
                if connection.recv(1):
                    sys.exit("something came instead of the end")
            except ConnectionError:
                pass


def reset_while_sending(port):
    for chunks in range(ROUNDS):
        connection = connect(port)
        connection.settimeout(0.05)
        try:
            # Up to 8 MiB, or until the server reads no more; much of it is still in flight then.
            for _ in range(1 + chunks * 6):
                connection.send(bytes(CHUNK))
        except socket.timeout:
            pass
        reset(connection)


def reset_while_receiving(port):
    for _ in range(ROUNDS):
        connection = connect(port)
        receive(connection, MIB)
        reset(connection)


def send_until_end(port):
    for _ in range(ROUNDS):
        with connect(port) as connection:
            try:
                while True:
                    connection.sendall(bytes(CHUNK))
            except ConnectionError:
                pass


def receive_until_end(port):
    for _ in range(ROUNDS):
        with connect(port) as connection:
            try:
                connection.sendall(b"?")
                receive_all(connection)
            except ConnectionError:
                pass


def beside_lookups(port, pid, gate):
    """One connection is open. While fifty more wait for the resolver, the loop's only thread serves it. The fifty need one
    further thread, since they ask for the same name.

    The resolver gives no answers as long as `gate` exists.
    """
    first = connect(port)
    ask(first)  # Waits for the first lookup.
    pathlib.Path(gate).touch()
    others = [connect(port) for _ in range(50)]
    for other in others:
        other.sendall(b"ping")
    deadline = time.monotonic() + PATIENCE
    while (threads := len(os.listdir(f"/proc/{pid}/task"))) != 2:
        if time.monotonic() > deadline:
            sys.exit(f"there were {threads} threads instead of the loop's and one of the resolver")
        ask(first)
    for _ in range(20):
        ask(first)
    if select.select(others, [], [], 0)[0]:
        sys.exit("a connection was served before its target's name was known")
    pathlib.Path(gate).unlink()
    for other in others:
        if other.recv(4) != b"ping":
            sys.exit("a connection that waited was not served")


def ask(connection):
    connection.sendall(b"ping")
    if connection.recv(4) != b"ping":
        sys.exit("the answer was something else")


globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
