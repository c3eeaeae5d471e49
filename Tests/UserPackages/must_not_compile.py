#!/usr/bin/env python3
"""Checks that the compiler rejects the marked lines of MustNotCompile, each with the error of its comment, and no others.

Usage: must_not_compile.py DIRECTORY_OF_THE_PROGRAMS DIRECTORY_OF_THE_CHECKOUTS
"""

import pathlib
import re
import subprocess
import sys


def refused(source, programs, checkouts):
    maps = [programs / "CAsyncIO.build/module.modulemap", checkouts / "swift-system/Sources/CSystem/include/module.modulemap"]
    command = ["swiftc", "-typecheck", "-swift-version", "6", "-I", programs / "Modules"]
    for path in maps:
        command += ["-Xcc", f"-fmodule-map-file={path}"]
    said = subprocess.run([*command, source], stderr=subprocess.PIPE, text=True).stderr
    found = {}
    for line, sentence in re.findall(rf"^{re.escape(str(source))}:(\d+):\d+: error: (.*)", said, re.MULTILINE):
        found.setdefault(int(line), []).append(sentence)
    return found, said


def main():
    programs, checkouts = map(pathlib.Path, sys.argv[1:])
    count = 0
    for source in sorted((pathlib.Path(__file__).parent / "MustNotCompile").glob("*.swift")):
        marked = {}
        for number, line in enumerate(source.read_text().splitlines(), start=1):
            if "// error: " in line:
                marked[number] = line.split("// error: ")[1]
        found, said = refused(source, programs, checkouts)
        wrong = [line for line in marked if not any(marked[line] in sentence for sentence in found.get(line, []))]
        wrong += [line for line in found if line not in marked]
        if wrong or not marked:
            sys.exit(f"must_not_compile: {source.name}, lines {wrong}; the compiler says:\n{said}")
        count += len(marked)
    print(f"ok: {count} lines refused, for the reasons they name")


main()
