#!/usr/bin/env python3
"""Lists the public names of asyncio's loop interface in CPython 3.11; one per line, sorted.

usage: asyncio_names.py            print them
       asyncio_names.py --check    is asyncio-names.txt what this interpreter has? (only 3.11 can tell)
       asyncio_names.py --record   write asyncio-names.txt
"""
import asyncio
import os
import selectors
import sys

RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "asyncio-names.txt")


def classes():
    """The name in the manual -> the classes that have it. Not every interpreter has all of them."""
    return {
        "loop": [asyncio.AbstractEventLoop],
        "policy": [asyncio.AbstractEventLoopPolicy],
        "Runner": [asyncio.Runner],
        "Handle": [asyncio.Handle],
        "TimerHandle": [asyncio.TimerHandle],
        "Future": [asyncio.Future],
        "Task": [asyncio.Task],
        "TaskGroup": [asyncio.TaskGroup],
        "Timeout": [asyncio.Timeout],
        "Server": [asyncio.AbstractServer, asyncio.base_events.Server],
        "Transport": [asyncio.BaseTransport, asyncio.ReadTransport, asyncio.WriteTransport, asyncio.Transport],
        "Protocol": [asyncio.BaseProtocol, asyncio.Protocol],
        "BufferedProtocol": [asyncio.BufferedProtocol],
        "DatagramTransport": [asyncio.DatagramTransport],
        "DatagramProtocol": [asyncio.DatagramProtocol],
        "SubprocessTransport": [asyncio.SubprocessTransport],
        "SubprocessProtocol": [asyncio.SubprocessProtocol],
        "Process": [asyncio.subprocess.Process],
        "ChildWatcher": [asyncio.AbstractChildWatcher],
        "StreamReader": [asyncio.StreamReader],
        "StreamWriter": [asyncio.StreamWriter],
        "BaseSelector": [selectors.BaseSelector],
    }


# Inherited names are in the table of the base class.
EXTENDS = {
    "TimerHandle": ["Handle"],
    "BufferedProtocol": ["Protocol"],
    "DatagramTransport": ["Transport"],
    "DatagramProtocol": ["Protocol"],
    "SubprocessTransport": ["Transport"],
    "SubprocessProtocol": ["Protocol"],
}
# Names that an interpreter on Linux lacks, or has only on instances.
ELSEWHERE = {
    "asyncio.ProactorEventLoop", "asyncio.WindowsProactorEventLoopPolicy", "asyncio.WindowsSelectorEventLoopPolicy",
    "loop.slow_callback_duration",
    # Public, although 3.11 does not list it in `__all__`.
    "asyncio.TaskGroup",
    "asyncio.subprocess.PIPE", "asyncio.subprocess.STDOUT", "asyncio.subprocess.DEVNULL",
    "contextvars.Context", "contextvars.ContextVar", "contextvars.copy_context",
    "Process.pid", "Process.stdin", "Process.stdout", "Process.stderr",
}


def public(cls):
    return {name for name in dir(cls) if not name.startswith("_")}


def names():
    found = {label: set().union(*map(public, members)) for label, members in classes().items()}
    result = {f"{label}.{name}" for label, members in found.items() for name in members
              if not any(name in found[base] for base in EXTENDS.get(label, []))}
    result |= {f"asyncio.{name}" for name in asyncio.__all__ if not name.startswith("_")}
    return sorted(result | ELSEWHERE)


def main():
    if sys.argv[1:] == []:
        print("\n".join(names()))
    elif sys.argv[1:] == ["--record"]:
        with open(RECORDED, "w", encoding="utf-8") as file:
            file.write("\n".join(names()) + "\n")
    elif sys.argv[1:] == ["--check"]:
        if sys.version_info[:2] != (3, 11):
            print(f"asyncio_names: not compared, because the names are those of 3.11 and this is {sys.version.split()[0]}")
            return 0
        with open(RECORDED, encoding="utf-8") as file:
            recorded = set(file.read().split())
        for name in sorted(recorded.symmetric_difference(names())):
            print(f"{name}: {'recorded, but asyncio has no such name' if name in recorded else 'not recorded'}")
        return 0 if recorded == set(names()) else 1
    else:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
