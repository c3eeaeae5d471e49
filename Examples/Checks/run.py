"""Runs the examples and checks what they do: run.py BINARIES [WORD...], only those with a WORD in their name."""

import os
import re
import signal
import socket
import sys
import tempfile
import threading

from checking import Client, Failed, KeptPort, Program, check, equal, run
from file_server import file_server


def echo(name):
    data = os.urandom(1_000_000)
    with Program(name, 0) as program:
        port = program.port()
        equal(run("socat", "-t", 10, "-", f"TCP:127.0.0.1:{port}", given=b"hello\n"), b"hello\n", "socat")
        clients = [Client(port) for _ in range(20)]
        for client in clients:
            threading.Thread(target=client.write, args=(data,), daemon=True).start()
        for client in clients:
            equal(client.read(len(data)) == data, True, "the echo")

        # The server does not read from a client that does not read: its writes block, and the server does not grow.
        with Client(port) as deaf:
            deaf.socket.settimeout(1)
            sent = 0
            try:
                while sent < 256 << 20:
                    sent += deaf.socket.send(data)
            except TimeoutError:
                pass
            check(sent < 256 << 20, "the server reads from a client that does not read")
            check(program.peak_kilobytes() < 100_000, "memory:", program.peak_kilobytes())
            # Open connections do not prevent the server from ending, not even one that does not read.
            program.end(signal.SIGINT)


def chat():
    with Program("Chat", 0) as program:
        port = program.port()
        with Client(port) as ann, Client(port) as bob, Client(port, receive_bytes=4096) as slow:
            for client, name, others in ((ann, "ann", []), (bob, "bob", [ann]), (slow, "slow", [ann, bob])):
                client.write(name + "\n")
                equal(client.line(), "your name?", "greeting")
                equal(client.line(), f"* {len(others) + 1} in the room", "welcome")
                for other in others:
                    equal(other.line(), f"* {name} is here", "announcement")
            ann.write("hello\r\n")
            equal(bob.line(), "ann: hello", "message")

            # Bob gets every line while the slow client reads none, until the server disconnects it.
            number, is_gone = 0, False
            while not is_gone:
                check(number < 1_000_000, "the slow client is kept")
                ann.write("".join(f"{number + i} {'.' * 1000}\n" for i in range(100)))
                expected = number + 100
                while number < expected:
                    line = bob.line()
                    if line == "* slow has left":
                        is_gone = True
                    else:
                        check(line.startswith(f"ann: {number} "), "bob missed a line:", line[:20])
                        number += 1
            equal(program.line(), "slow is too slow", "output")
            check(program.peak_kilobytes() < 100_000, "memory:", program.peak_kilobytes())
            equal(ann.line(), "* slow has left", "announcement")

            bob.write("x" * 2000)
            bob.write("\n")
            equal(bob.line(), "* this line is too long", "refusal")
            equal(bob.read(), b"", "end")
            equal(ann.line(), "* bob has left", "announcement")
            program.send(signal.SIGTERM)
            equal(ann.line(), "* the server is going down", "farewell")
            equal(ann.read(), b"", "end")
            program.end(None)


def chat_client():
    with Program("Chat", 0) as server:
        # The end of the input ends the conversation.
        output = run(os.path.join(Program.binaries, "ChatClient"), server.port(), given=b"ann\nhello\n")
        equal(output, b"your name?\n* 1 in the room\n", "output")
        server.end(signal.SIGTERM)


def time_server():
    with Program("TimeServer", 0) as server:
        port = server.port()
        answer = run(os.path.join(Program.binaries, "TimeClient"), "127.0.0.1", port)
        check(re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\n", answer), "answer:", answer)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as short:
            short.connect(("127.0.0.1", port))
            short.settimeout(0.2)
            short.send(b"?")
            try:
                check(False, "a short question has a longer answer:", short.recv(100))
            except TimeoutError:
                pass
        # It handles no signal, so Ctrl-C cancels its task, and ends the process as usual.
        server.end(signal.SIGINT, status=-signal.SIGINT)


def redis_client():
    with KeptPort() as kept, tempfile.TemporaryDirectory() as directory:
        port = kept.number
        command = [
            "redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no",
            "--dir", directory]
        with Program("redis", command=command) as server:
            server.until("Ready to accept connections")
            with Program("RedisClient", port) as client:
                equal(client.line(), "counter: 1000", "a thousand commands")
                equal(client.line(), "tick: 1", "first tick")
                equal(client.line(), "tick: 2", "second tick")
                server.end(signal.SIGTERM)
                client.until("no connection: ")
                with Program("redis again", command=command) as again:
                    # The count is lost with the first server.
                    client.until("tick: 1")
                    client.until("tick: 2")
                    equal(run("redis-cli", "-p", port, "GET", "counter"), b"\n", "redis-cli")
                    client.end(signal.SIGINT)
                    again.end(signal.SIGTERM)


def port_scanner():
    # A separate address, because on 127.0.0.1 the scan would connect to the servers of all other programs and tests.
    number = os.getpid()
    host = f"127.{64 + (number >> 16) % 64}.{number >> 8 & 255}.{number & 255}"

    def listen(backlog):
        listener = socket.socket()
        listener.bind((host, 0))
        listener.listen(backlog)
        return listener

    listeners = [listen(100) for _ in range(3)]
    # A listener whose queue is full does not respond.
    silent = [listen(0) for _ in range(5)]
    fillers = []
    for listener in silent:
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
    ports = [listener.getsockname()[1] for listener in listeners]
    silent_ports = [listener.getsockname()[1] for listener in silent]
    first, last = max(1, min(ports + silent_ports) - 100), min(65535, max(ports + silent_ports) + 100)
    with Program("PortScanner", host, first, last) as program:
        program.end(None)
        found = {int(line.split()[0]) for line in program.lines[:-1]}
        check(found.issuperset(ports), "not found:", set(ports) - found)
        check(found.isdisjoint(silent_ports), "open, although nothing responds:", found & set(silent_ports))
        counts = [int(word.split()[0]) for word in program.lines[-1].split(", ")]
        equal(sum(counts), last - first + 1, "ports")
        equal(counts[0], len(found), "open ports")
        check(counts[2] >= len(silent), "silent ports:", counts[2])


def cron():
    with tempfile.TemporaryDirectory() as directory:
        table = os.path.join(directory, "crontab")

        def write(text):
            with open(table + ".new", "w", encoding="ascii") as file:
                file.write(text)
            os.rename(table + ".new", table)

        write("0.05 echo tick\n0.05 exit 3\n")
        with Program("Cron", table) as program:
            equal(program.line(), "2 jobs", "first line")
            program.until("tick")
            program.until("tick")
            program.until("status 3: exit 3")
            write("0.05 echo tock\n")
            program.send(signal.SIGHUP)
            program.until("1 jobs")
            program.until("tock")
            write("often echo tack\n")
            program.send(signal.SIGHUP)
            program.until("the table is as before: ")
            program.until("tock")
            # A command that is running when the daemon shuts down may continue.
            flag = os.path.join(directory, "flag")
            os.mkfifo(flag)
            write(f"0.05 echo begun; cat {flag}; echo ended\n")
            program.send(signal.SIGHUP)
            program.until("begun")
            program.send(signal.SIGTERM)
            program.until("waiting for 1 commands")
            with open(flag, "w", encoding="ascii"):
                pass
            program.until("ended")
            program.end(None)


def flying_fox():
    with Program("FlyingFoxServer", 0) as program:
        port = program.port()
        for number in range(1, 4):
            answer = run("curl", "-sS", f"http://127.0.0.1:{port}/visits")
            equal(answer, f"visit {number}, on the loop: true\n".encode(), "answer")
        equal(run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"http://127.0.0.1:{port}/none"), b"404", "status")
        program.end(signal.SIGTERM)


def custom_selector():
    with Program("CustomSelector") as program:
        words = program.line().split()
        equal(" ".join(words[:5]), "100 lines there and back:", "output")
        check(int(words[5]) > 100 and int(words[7]) > 100, "counts:", *words)
        program.end(None)


def custom_policy():
    with Program("CustomPolicy") as program:
        check(program.line().startswith("too slow: CustomPolicy/"), "warning:", program.lines[0])
        equal(program.line(), "done", "last line")
        program.end(None)


EXAMPLES = {
    "EchoProtocol": lambda: echo("EchoProtocol"),
    "EchoStreams": lambda: echo("EchoStreams"),
    "Chat": chat,
    "ChatClient": chat_client,
    "TimeServer": time_server,
    "FileServer": file_server,
    "RedisClient": redis_client,
    "PortScanner": port_scanner,
    "Cron": cron,
    "FlyingFoxServer": flying_fox,
    "CustomSelector": custom_selector,
    "CustomPolicy": custom_policy,
}


def main(binaries, *words):
    Program.binaries = binaries
    chosen = [name for name in EXAMPLES if not words or any(word in name for word in words)]
    failed = 0
    for name in chosen:
        try:
            EXAMPLES[name]()
            print(f"ok    {name}", flush=True)
        except (Failed, OSError) as error:
            failed += 1
            print(f"FAIL  {name}: {error!r}", flush=True)
    loop = os.environ.get("ASYNCIO_LOOP", "the default loop")
    print(f"examples: {len(chosen)} run on {loop}, {failed} failed")
    return 1 if failed or not chosen else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
