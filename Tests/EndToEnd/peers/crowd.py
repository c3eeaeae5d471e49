"""More clients than an echo server has descriptors for: crowd.py PORT PID [TRACE]

TRACE is what strace writes of the server's accepts, as they happen. Prints what it measured as lines of name=value.
"""

import os
import socket
import sys
import time

# Few enough for those that were left outside to fit in at once when the others are gone: a server that is full rests for
# 100 ms before it accepts again, and clients that have left fill it once more if they are many.
CROWD = 80
SECONDS = 3.0

port, pid, trace = int(sys.argv[1]), sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else os.devnull


def connect():
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def ask(connection):
    """Milliseconds until the answer, or nothing."""
    begin = time.monotonic()
    try:
        connection.sendall(b"ping")
        answer = connection.recv(4)
    except OSError:
        return None
    return (time.monotonic() - begin) * 1000 if answer == b"ping" else None


def cpu_ms():
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * 1000 // os.sysconf("SC_CLK_TCK")


def failed_accepts():
    with open(trace) as lines:
        return sum("EMFILE" in line for line in lines)


def stays_out():
    """One of the crowd: the kernel takes the connection, whether or not the server does."""
    client = socket.socket()
    client.setblocking(False)
    client.connect_ex(("127.0.0.1", port))
    return client


inside = [connect() for _ in range(5)]
for connection in inside:
    ask(connection)
crowd = [stays_out() for _ in range(CROWD)]

before, failed_before = cpu_ms(), failed_accepts()
end = time.monotonic() + SECONDS
times = []
while time.monotonic() < end:
    times += [ask(connection) for connection in inside]
    time.sleep(0.05)
used, failed = cpu_ms() - before, failed_accepts() - failed_before

left = time.monotonic()
for client in crowd:
    client.close()
recovered = None
while recovered is None and time.monotonic() - left < 5:
    # A server that is full has the kernel's queue only: the answer is what counts.
    with connect() as newcomer:
        if ask(newcomer) is not None:
            recovered = (time.monotonic() - left) * 1000

print(f"asked={len(times)}")
print(f"answered={sum(time is not None for time in times)}")
print(f"slowest_ms={round(max((time for time in times if time is not None), default=9999))}")
print(f"cpu_ms={used}")
print(f"failed_accepts={failed}")
print(f"recovery_ms={round(recovered) if recovered is not None else 9999}")
