"""Clients; the status says whether it went as it should: clients.py MODE PORT [ARGUMENT]..."""

import hashlib
import os
import pathlib
import socket
import sys
import threading
import time

from common import CHUNK, MIB, pattern, receive, receive_all, reset

# How often the modes that reset do so: the race with the other side goes many ways.
ROUNDS = 20
PATIENCE = 20


def connect(port):
    return socket.create_connection(("127.0.0.1", int(port)), timeout=PATIENCE)


def wait_for_ever():
    print("ready", flush=True)
    time.sleep(3600)


def idle(port):
    """Sends and receives a little, and stays."""
    connection = connect(port)
    connection.sendall(b"hello")
    wait_for_ever()


def never_read(port):
    """Sends until nobody takes it any more, and stays."""
    connection = connect(port)
    connection.settimeout(0.5)
    try:
        while True:
            connection.send(bytes(CHUNK))
    except TimeoutError:
        wait_for_ever()


def whole_answer(port, mib, clients=1):
    """Half-closes after the request and expects everything that comes then."""
    wanted = pattern(int(mib) * MIB)
    results = []

    def ask():
        with connect(port) as connection:
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
    """Waits for the end, then sends; the target's log says what came."""
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


def sees_end(port):
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
            # Up to 8 MiB, or until nobody takes it any more; much of it is still under way then.
            for _ in range(1 + chunks * 6):
                connection.send(bytes(CHUNK))
        except TimeoutError:
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


def beside_lookups(port, pid):
    """One connection is open; while three more wait for the resolver, it is answered without delay, by the loop's one thread."""
    first = connect(port)
    ask(first)  # Waits for the first lookup.
    others = [connect(port) for _ in range(3)]
    for other in others:
        other.sendall(b"ping")
    threads = 0
    for _ in range(20):
        milliseconds = ask(first)
        if milliseconds > 250:
            sys.exit(f"an answer took {milliseconds:.0f} ms")
        threads = max(threads, len(os.listdir(f"/proc/{pid}/task")))
        time.sleep(0.05)
    if threads != 4:
        sys.exit(f"there were {threads} threads instead of the loop's and three of the resolver")
    for other in others:
        if other.recv(4) != b"ping":
            sys.exit("a connection that waited was not served")


def ask(connection):
    """Milliseconds until the answer."""
    begin = time.monotonic()
    connection.sendall(b"ping")
    if connection.recv(4) != b"ping":
        sys.exit("the answer was something else")
    return (time.monotonic() - begin) * 1000


globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
