"""Checks the file server, with curl and with plain sockets."""

import os
import signal
import tempfile

from checking import Client, Program, check, equal, run


def file_server():
    with tempfile.TemporaryDirectory() as directory:
        root = os.path.join(directory, "root")
        os.makedirs(os.path.join(root, "sub"))
        big = os.urandom(20_000_000)
        for name, data in (("index.html", b"welcome\n"), ("sub/with space.txt", b"text\n"), ("big", big), ("empty", b"")):
            with open(os.path.join(root, name), "wb") as file:
                file.write(data)
        with open(os.path.join(directory, "secret"), "wb") as file:
            file.write(b"secret\n")
        os.mkfifo(os.path.join(root, "fifo"))
        with Program("FileServer", root, 0) as program:
            port = program.port()
            with_curl(f"http://127.0.0.1:{port}", big)
            pipelined(port)
            refused(port)
            slow(program, port, big)
            # An idle connection does not prevent the server from ending.
            with Client(port) as idle:
                idle.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                equal(idle.line(), "HTTP/1.1 200 OK", "status")
                program.end(signal.SIGINT)


def with_curl(url, big):
    equal(run("curl", "-sS", url), b"welcome\n", "index")
    equal(run("curl", "-sS", f"{url}/sub/with%20space.txt?query"), b"text\n", "file")
    equal(run("curl", "-sS", f"{url}/empty"), b"", "empty file")
    check(run("curl", "-sS", f"{url}/big") == big, "the large file differs")
    check(b"Content-Length: 20000000\r\n" in run("curl", "-sSI", f"{url}/big"), "HEAD")
    # Two requests, one connection.
    connects = run("curl", "-sS", "-o", "/dev/null", "-o", "/dev/null", "-w", "%{num_connects} ", url, f"{url}/big")
    equal(connects, b"1 0 ", "connections")
    equal(run("curl", "-sS", "-0", url), b"welcome\n", "HTTP/1.0")

    def status(*arguments):
        return run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--path-as-is", *arguments).decode()

    for path in ("/none", "/sub", "/fifo", "/big/", "/.../x"):
        equal(status(url + path), "404", path)
    for path in ("/../secret", "/sub/../../secret", "/%2e%2e/secret", "/..%2fsecret", "/big%00", "/%zz"):
        equal(status(url + path), "400", path)
    equal(status("-X", "DELETE", url), "405", "DELETE")
    equal(status("-d", "x=1", url), "405", "POST")
    equal(status("-H", "X: " + "x" * 10_000, url), "431", "a large head")


def pipelined(port):
    """All requests at once, responses in order; the last request closes the connection."""
    with Client(port) as client:
        request = "{} {} HTTP/1.1\r\nHost: x\r\n{}\r\n"
        client.write(
            request.format("GET", "/", "") + request.format("HEAD", "/", "") + request.format("GET", "/none", "")
            + request.format("GET", "/", "Connection: close\r\n"))
        answers = client.read().decode().split("HTTP/1.1 ")[1:]
        equal([answer[:3] for answer in answers], ["200", "200", "404", "200"], "statuses")
        bodies = [answer.split("\r\n\r\n", 1)[1] for answer in answers]
        equal(bodies, ["welcome\n", "", "", "welcome\n"], "bodies")


def refused(port):
    """An invalid request gets a response, and the connection is closed."""
    for request in (
        "nonsense\r\n\r\n", "GET /\r\n\r\n", "GET / HTTP/2.0\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost x\r\n\r\n", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        with Client(port) as client:
            client.write(request)
            equal(client.line(), "HTTP/1.1 400 Bad Request", request)
            check(b"Connection: close\r\n" in client.read(), "the connection stays open after", request)


def slow(program, port, big):
    """Clients that do not read cost a piece of the file each, and do not delay others."""
    clients = [Client(port, receive_bytes=4096) for _ in range(50)]
    for client in clients:
        client.write("GET /big HTTP/1.1\r\nHost: x\r\n\r\n")
        equal(client.line(), "HTTP/1.1 200 OK", "status")
    equal(run("curl", "-sS", f"http://127.0.0.1:{port}"), b"welcome\n", "beside slow clients")
    check(program.peak_kilobytes() < 100_000, "memory:", program.peak_kilobytes())
    while clients[0].line():
        pass
    check(clients[0].read(len(big)) == big, "the large file differs for a slow client")
    for client in clients:
        client.__exit__()
