"""Reserves a port of 127.0.0.1 and ::1 without listening on it, until it is ended; the first line is the port.

A freed port might be anybody's at once. This one can be listened on only by whoever knows it and sets SO_REUSEADDR, as servers do.
"""

import errno
import signal
import socket


def held(family, address):
    """Returns a socket that is bound to the address. Others may bind it too; this one never listens."""
    holder = socket.socket(family)
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        holder.bind(address)
    except OSError:
        holder.close()
        raise
    return holder


def hold():
    first = held(socket.AF_INET, ("127.0.0.1", 0))
    port = first.getsockname()[1]
    try:
        return port, [first, held(socket.AF_INET6, ("::1", port))]
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return port, [first]  # There is no IPv6 here.
        first.close()
        return hold()


port, holders = hold()
print(port, flush=True)
signal.pause()
