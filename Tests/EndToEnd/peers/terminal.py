"""Runs a program that echoes lines on a pseudo-terminal: types a line, waits for it twice, and types Ctrl-D.

usage: terminal.py PROGRAM ARGUMENT...
"""
import fcntl
import os
import pty
import select
import subprocess
import sys
import termios
import time

PATIENCE = 60


def main():
    controller, terminal = pty.openpty()
    modes = termios.tcgetattr(terminal)
    child = subprocess.Popen(sys.argv[1:], stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True)
    shown = b""
    deadline = time.monotonic() + PATIENCE

    def until(text):
        nonlocal shown
        while text not in shown:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([controller], [], [], left)[0]:
                sys.exit(f"instead of {text!r} the terminal shows {shown!r}")
            shown += os.read(controller, 4096)

    os.write(controller, b"hello\n")
    # The terminal's echo, and then the program's answer.
    until(b"hello\r\nhello\r\n")
    os.write(controller, b"again\n")
    until(b"again\r\nagain\r\n")
    if fcntl.fcntl(terminal, fcntl.F_GETFL) & os.O_NONBLOCK:
        sys.exit("the terminal became non-blocking")
    os.write(controller, b"\x04")
    status = child.wait(timeout=PATIENCE)
    if status != 0:
        sys.exit(f"the program ended with status {status}: {os.read(controller, 4096)!r}")
    if termios.tcgetattr(terminal) != modes:
        sys.exit("the modes of the terminal have changed")


main()
