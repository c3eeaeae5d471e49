"""Two clients of a forwarder whose target is `accepts_once.py`: the second connection ends, the first one does not.

beside_refused.py PORT
"""

import socket
import sys

from common import PATIENCE


def connect():
    return socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=PATIENCE)


def echoes(connection, word):
    connection.sendall(word)
    answer = connection.recv(len(word))
    if answer != word:
        sys.exit(f"the open connection answered {answer} instead of {word}")


def expect_end(connection):
    try:
        if connection.recv(1):
            sys.exit("something came instead of the end")
    except ConnectionError:
        pass


with connect() as first:
    echoes(first, b"before")
    with connect() as second:
        expect_end(second)
        echoes(first, b"beside")
    echoes(first, b"after")
