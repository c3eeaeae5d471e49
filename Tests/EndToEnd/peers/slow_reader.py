"""Sends MIB mebibytes, reads them back slowly, and compares them: slow_reader.py MIB tcp PORT PID | unix PATH PID | pipes COMMAND...

PID is the process whose memory is observed; with pipes, it is the command, which has a pipe as its standard input and another
one as its standard output. The reader does not read until the writer cannot write any more, pauses once in the middle, and
is never faster than RATE. The last line is how many KiB of memory the process has gained.
"""

import os
import re
import socket
import subprocess
import sys
import threading
import time

from common import PATIENCE

# A prime number, so that blocks never begin at the same offset of a buffer.
BLOCK = os.urandom(1_048_573)
RATE = 400 << 20
# The writer counts as stopped when it has written nothing for so long.
STOPPED_SECONDS = 0.3
FIRST_BYTES = 1000

mebibytes, kind, *where = sys.argv[1:]
total = int(mebibytes) << 20
written = 0


def resident_kib(pid):
    with open(f"/proc/{pid}/status") as status:
        return int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1))


def writer(write, end):
    global written
    while written < total:
        start = written % len(BLOCK)
        written += write(BLOCK[start:start + min(len(BLOCK) - start, total - written)])
    end()


def open_socket():
    client = socket.socket(socket.AF_INET if kind == "tcp" else socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(("127.0.0.1", int(where[0])) if kind == "tcp" else where[0])
    return client.send, lambda: client.shutdown(socket.SHUT_WR), client.recv, int(where[1])


def open_pipes():
    command = subprocess.Popen(where, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    return command.stdin.write, command.stdin.close, command.stdout.read, command.pid


def wait_until_stopped():
    before = -1
    while before != written:
        before = written
        time.sleep(STOPPED_SECONDS)


write, end, read, pid = open_pipes() if kind == "pipes" else open_socket()
# A small exchange first, so that the program has started.
while written < FIRST_BYTES:
    written += write(BLOCK[written:FIRST_BYTES])
received = 0
while received < FIRST_BYTES:
    received += len(read(FIRST_BYTES - received))
base = resident_kib(pid)
thread = threading.Thread(target=writer, args=(write, end), daemon=True)
thread.start()
wait_until_stopped()
if written == total:
    sys.exit("the writer never had to wait")
most = resident_kib(pid)
begin, has_paused = time.monotonic(), False
while True:
    data = read(1 << 18)
    if not data:
        break
    start = received % len(BLOCK)
    expected = BLOCK[start:start + len(data)]
    if expected != data[:len(expected)] or not BLOCK.startswith(data[len(expected):]):
        sys.exit(f"other bytes came back after {received} bytes")
    received += len(data)
    if not has_paused and received > total // 2:
        has_paused = True
        wait_until_stopped()
        most = max(most, resident_kib(pid))
    ahead = received / RATE - (time.monotonic() - begin)
    if ahead > 0.01:
        time.sleep(ahead)
        most = max(most, resident_kib(pid))
thread.join(PATIENCE)
if received != total:
    sys.exit(f"{received} of {total} bytes came back")
print(most - base)
