"""Servers for the forwarder to connect to; the first line is the port: targets.py MODE [MIB]"""

import hashlib
import socket
import sys
import threading
import time

from common import CHUNK, MIB, pattern, receive, receive_all, reset


def answer_after_end(connection, mib):
    receive_all(connection)
    connection.sendall(pattern(mib * MIB))


def end_first(connection, _):
    connection.shutdown(socket.SHUT_WR)
    print(hashlib.sha256(receive_all(connection)).hexdigest(), flush=True)


def silent(connection, _):
    time.sleep(3600)


def sink(connection, _):
    receive_all(connection)


def source(connection, _):
    while True:
        connection.sendall(bytes(CHUNK))


def mirror(connection, _):
    while piece := connection.recv(CHUNK):
        connection.sendall(piece)


def reset_while_receiving(connection, _):
    receive(connection, MIB)
    reset(connection)


def reset_while_sending(connection, _):
    # A reset before the forwarder has established its connection would be a failed connect, which it reports correctly.
    receive(connection, 1)
    connection.sendall(bytes(MIB))
    reset(connection)


def serve(act, connection, mib):
    try:
        with connection:
            act(connection, mib)
    except OSError:
        pass  # Broken off by the other side: that is the test.


def main():
    act = globals()[sys.argv[1].replace("-", "_")]
    mib = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    listener = socket.create_server(("127.0.0.1", 0), backlog=100)
    print(listener.getsockname()[1], flush=True)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(act, connection, mib), daemon=True).start()


main()
