#!/usr/bin/env python3
"""Checks the order of the folders in Sources/AsyncIO: no folder may name types of a higher one.

The folders of one module know each other as far as the compiler is concerned, so this script reads the sources: it collects the
types that each folder declares, and looks for their names in the other folders. Comments and strings do not count.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "Sources" / "AsyncIO"

# Lowest first. A folder may name types of the folders before it.
ORDER = [
    "Threads", "Scheduling", "Core", "Bytes", "Reporting", "Callbacks", "Tasks", "Futures", "Groups", "Coordination",
    "Drivers", "Loops", "Watching", "Resolving", "Sockets", "Transports", "Datagrams", "Servers", "Clients", "Streams",
    "Pipes", "Signals", "Running",
]

# Pairs that know each other both ways, each with its reason. At most three.
EXCEPTIONS = {
    ("Drivers", "Loops"): "a loop creates its drivers, and a completion driver submits its operations to its loop",
}

DECLARATION = re.compile(
    r"^ *(?:(?:@[\w.]+(?:\([^)]*\))?|public|package|internal|open|final|indirect|fileprivate|private(?:\(set\))?) +)*"
    r"(?:class|struct|enum|protocol|actor|typealias) +([A-Z]\w*)", re.M)
NOISE = re.compile(r'//[^\n]*|/\*.*?\*/|"""(?:.|\n)*?"""|"(?:\\.|[^"\\\n])*"', re.S)
WORD = re.compile(r"\b[A-Z]\w*\b")


def main():
    verbose = "--verbose" in sys.argv
    files = {}
    for path in sorted(ROOT.rglob("*.swift")):
        folder = path.relative_to(ROOT).parts[0]
        if path.parent != ROOT:
            files[path] = (folder, NOISE.sub(" ", path.read_text()))
    owners = {}
    nested = set()
    for path, (folder, text) in files.items():
        for line in text.split("\n"):
            # Nested types are written with the name of their outer type.
            match = DECLARATION.match(line)
            if match and not line.startswith(" ") and "private" not in line.split(match.group(1))[0]:
                owners.setdefault(match.group(1), set()).add(folder)
            elif match:
                nested.add((folder, match.group(1)))
    uses = {}
    for path, (folder, text) in files.items():
        for number, line in enumerate(text.split("\n"), 1):
            for word in WORD.findall(line):
                owner = owners.get(word)
                if owner and len(owner) == 1 and folder not in owner and (folder, word) not in nested:
                    uses.setdefault((folder, next(iter(owner))), []).append((path, number, word))
    errors = 0
    for folder in sorted({folder for folder, _ in files.values()} - set(ORDER)):
        print(f"Sources/AsyncIO/{folder}: the folder is missing in scripts/folders.py")
        errors += 1
    for (user, owner), places in sorted(uses.items()):
        if user not in ORDER or owner not in ORDER or ORDER.index(owner) < ORDER.index(user):
            continue
        if (user, owner) in EXCEPTIONS:
            continue
        errors += 1
        words = sorted({word for _, _, word in places})
        print(f"Sources/AsyncIO/{user} must not name types of {owner}, a higher folder: {', '.join(words)}")
        if verbose:
            for path, number, word in places:
                print(f"    {path.relative_to(ROOT)}:{number}: {word}")
    used = {pair for pair in EXCEPTIONS if pair in uses}
    for pair in EXCEPTIONS.keys() - used:
        print(f"scripts/folders.py: the exception {pair} is not needed")
        errors += 1
    print(f"folders: {len(ORDER)} folders, {len(EXCEPTIONS)} exceptions, errors: {errors}")
    return errors > 0


sys.exit(main())
