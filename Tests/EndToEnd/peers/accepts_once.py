"""A target that stops listening while a connection is open: accepts one connection, and echoes on it.

The first line is the port. The first answer comes after the listener is closed.
"""

import socket

from common import CHUNK

with socket.create_server(("127.0.0.1", 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    connection, _ = listener.accept()
with connection:
    while piece := connection.recv(CHUNK):
        connection.sendall(piece)
