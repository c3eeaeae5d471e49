#!/usr/bin/env python3
"""Finds comment lines of Swift and C files that are wider than 120 columns, which swift-format does not check.

Usage: comment_width.py [--fix] FILE...

With --fix, the words beyond the limit move to the next line of the paragraph, or to a new line.
"""

import re
import sys
from pathlib import Path

LIMIT = 120

COMMENT = re.compile(r"^(?P<indent> *)(?P<marker>//[/!]?)(?P<space> *)(?P<text>.*)$")
# Text that begins a new paragraph, or is not prose.
SPECIAL = re.compile(r"[-*+] |\d+\. |[#|>]|```|MARK:|SAFETY:|covers:|swift-format")
UNBREAKABLE = re.compile(r"```|[|]|.*https?://\S{90}")


def parsed(line):
    """The indentation with the marker, and the text of a comment line; None for any other line."""
    match = COMMENT.match(line)
    if match is None:
        return None
    return match["indent"] + match["marker"], match["space"], match["text"]


def is_too_wide(line):
    if len(line) <= LIMIT:
        return False
    if parsed(line) is not None:
        return UNBREAKABLE.match(parsed(line)[2]) is None
    # A comment behind code; not the "//" of an address in a string.
    return re.search(r'[^:"]// [^"]*$', line) is not None


def continuation(space, text):
    """The spaces in front of the further lines of a list item or a paragraph."""
    item = re.match(r"(?:[-*+]|\d+\.) +", text)
    if item is None:
        return space
    return space + "  "


def wrapped(lines):
    """The lines, with the comments within the limit where that is possible."""
    result = []
    pending = list(reversed(lines))
    fenced = False
    while pending:
        line = pending.pop()
        comment = parsed(line)
        if comment is not None and comment[2].startswith("```"):
            fenced = not fenced
        if comment is None or fenced or not is_too_wide(line):
            result.append(line)
            continue
        head, space, text = comment
        cut = line.rfind(" ", len(head) + len(space) + 1, LIMIT + 1)
        if cut < 0:
            result.append(line)
            continue
        result.append(line[:cut].rstrip())
        rest = line[cut:].strip()
        following = parsed(pending[-1]) if pending else None
        joins = (following is not None and following[0] == head and following[2] != ""
                 and SPECIAL.match(following[2]) is None)
        if joins:
            pending.pop()
            pending.append(head + following[1] + rest + " " + following[2])
        else:
            pending.append(head + continuation(space, text) + rest)
    return result


def main():
    arguments = sys.argv[1:]
    fix = arguments[:1] == ["--fix"]
    findings = 0
    for name in arguments[1:] if fix else arguments:
        path = Path(name)
        text = path.read_text(encoding="utf-8")
        lines = text.split("\n")
        if fix:
            changed = wrapped(lines)
            if changed != lines:
                path.write_text("\n".join(changed), encoding="utf-8")
            lines = changed
        for number, line in enumerate(lines, 1):
            if is_too_wide(line):
                findings += 1
                print(f"{name}:{number}: error: the comment has {len(line)} columns, {LIMIT} at most")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
