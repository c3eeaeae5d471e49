"""Sends datagrams of different sizes to an echo server: datagrams.py PORT CLIENTS DATAGRAMS LARGEST.

Each client sends the next one when the last one came back. Loopback loses datagrams only if a buffer is full.
"""

import selectors
import socket
import sys
import time

from common import PATIENCE

port, clients, total, largest = map(int, sys.argv[1:])
selector = selectors.DefaultSelector()
waiting = {}
sent = received = 0


def content(number):
    # Also an empty one, and one that fills several packets of the interface.
    size = min((0, 1, 64, 1400, 9000, 60000)[number % 6], largest)
    return (b"%d " % number * (size // 2 + 1))[:size]


def send(client):
    global sent
    if sent == total:
        return
    waiting[client] = content(sent)
    client.send(waiting[client])
    sent += 1


for _ in range(clients):
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.connect(("127.0.0.1", port))
    client.setblocking(False)
    selector.register(client, selectors.EVENT_READ)
    send(client)

deadline = time.monotonic() + PATIENCE
while received < total:
    ready = selector.select(max(0, deadline - time.monotonic()))
    if not ready:
        sys.exit(f"{received} of {total} datagrams came back")
    for key, _ in ready:
        client = key.fileobj
        data = client.recv(65536)
        if data != waiting[client]:
            sys.exit(f"a datagram of {len(waiting[client])} bytes came back with {len(data)} bytes, or others")
        received += 1
        send(client)
