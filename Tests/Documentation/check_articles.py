#!/usr/bin/env python3
"""Checks the articles, beyond their links.

usage: check_articles.py names ARTICLE              does its tables' first column hold every name of asyncio-names.txt?
"""
import os
import re
import sys

RECORDED = os.path.join(os.path.dirname(os.path.abspath(__file__)), "asyncio-names.txt")
# The second column: links to symbols, a name of Swift's standard library, or the reason why there is none.
HERE = re.compile(r"^(``[^`]+``(, ``[^`]+``)*|Swift's `[^`]+`|later: .+|–)$")


def check_names(article):
    with open(RECORDED, encoding="utf-8") as file:
        recorded = set(file.read().split())
    listed, problems = {}, []
    with open(article, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")] if line.startswith("| `") else None
            if not cells:
                continue
            if len(cells) < 2 or not HERE.match(cells[1]):
                problems.append(f"{article}:{number}: the second column is a link, Swift's `...`, 'later: ...' or a dash")
            for name in re.findall(r"`([^`]+)`", cells[0]):
                if name in listed:
                    problems.append(f"{article}:{number}: {name} is in line {listed[name]} too")
                elif name not in recorded:
                    problems.append(f"{article}:{number}: asyncio has no public name {name}")
                listed[name] = number
    problems += [f"{article}: {name} is missing" for name in sorted(recorded - set(listed))]
    for problem in problems:
        print(problem)
    print(f"names: {len(listed)} of asyncio's names, problems: {len(problems)}")
    return 1 if problems else 0


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "names":
        return check_names(sys.argv[2])
    print(__doc__.split("\n\n")[1], file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
