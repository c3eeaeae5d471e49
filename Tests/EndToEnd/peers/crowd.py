"""More clients than an echo server has descriptors for: crowd.py PORT TRACE

TRACE is what strace writes of the server's accepts and waits, as they happen. Prints what it measured as lines of name=value.
"""

import select
import socket
import sys
import time

from common import PATIENCE

# Few enough that the waiting clients fit in at once when the others have gone: a full server backs off for 100 ms before it
# accepts again, and many clients that have gone would fill it once more.
CROWD = 80
SECONDS = 3.0
LOOK = 0.01

port, trace = int(sys.argv[1]), sys.argv[2]


def connect():
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def ask(connection):
    """Returns the milliseconds until the response, and whether it came. A poll counts at most twice its time, because a busy
    machine delays it."""
    spent, before = 0, time.monotonic()
    try:
        connection.sendall(b"ping")
        answer = b""
        while not answer and spent < PATIENCE:
            if select.select([connection], [], [], LOOK)[0]:
                answer = connection.recv(4)
                if not answer:
                    break
            now = time.monotonic()
            spent, before = spent + min(now - before, 2 * LOOK), now
    except OSError:
        return spent * 1000, False
    return spent * 1000, answer == b"ping"


def traced():
    """Returns the number of the server's failed accepts so far, and of its waits."""
    with open(trace) as file:
        lines = file.readlines()
    failed = sum("EMFILE" in line for line in lines)
    return failed, sum("accept" not in line for line in lines)


def stays_out():
    """One client of the crowd: the kernel accepts the connection, whether or not the server does."""
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", port))
    return client


inside = [connect() for _ in range(5)]
for connection in inside:
    ask(connection)
begin = time.monotonic()
crowd = [stays_out() for _ in range(CROWD)]

_, waits_before = traced()
answers = []
while time.monotonic() - begin < SECONDS:
    answers += [ask(connection) for connection in inside]
    time.sleep(0.05)
failed, waits = traced()
took = time.monotonic() - begin

for client in crowd:
    client.close()
# With a full server the connection is only in the kernel's queue, so the response is what counts.
recovered, recovery = False, 0
while not recovered and recovery < PATIENCE * 1000:
    with connect() as newcomer:
        spent, recovered = ask(newcomer)
        recovery += spent

times = sorted(milliseconds for milliseconds, came in answers if came)
print(f"asked={len(answers)}")
print(f"answered={len(times)}")
print(f"most_within_ms={round(times[len(times) * 19 // 20]) if times else 9999}")
print(f"took_ms={round(took * 1000)}")
print(f"failed_accepts={failed}")
print(f"waits={waits - waits_before}")
print(f"recovery_ms={round(recovery) if recovered else 9999}")
