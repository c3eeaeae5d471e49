#!/usr/bin/env python3
"""Builds and runs the examples of the manual: every Swift block of the articles, and every program in README.md.

usage: examples.py FOLDER FILE [FILE ...]

Each block becomes a program of a package in FOLDER, twice: with the settings that a new package has, and with the upcoming
features of Swift. A block that imports Testing becomes a test. No warning is allowed. Then each program runs:

- its exit status must be 0;
- behind a line that prints, a comment `// text` says what the program must print, as a line of its own;
- a program that prints a line beginning with "listening on" is a server, and gets SIGINT then, by which it may end. On
  Linux it gets a port that is free in place of 8888, which another program may use;
- its standard input is a pipe that contains the lines "one" and "two".

A block that imports PackageDescription is the Package.swift of a folder beside this repository, and has to resolve.
"""
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The library is compiled once for all packages that use this folder.
SCRATCH = ROOT / ".build" / "dependents"
PATIENCE_SECONDS = 60
SETTINGS = {
    "default": "[]",
    "upcoming": "[" + ", ".join(
        f'.enableUpcomingFeature("{feature}")' for feature in (
            "NonisolatedNonsendingByDefault", "ExistentialAny", "InternalImportsByDefault", "MemberImportVisibility",
        )) + "]",
}


class Example:
    def __init__(self, file, line, text):
        self.place = f"{file.relative_to(ROOT)}:{line}"
        self.name = f"{file.stem.replace('+', '-')}-{line}"
        self.text = text
        self.is_package = re.search(r"^import PackageDescription$", text, re.M) is not None
        self.is_test = re.search(r"^import Testing$", text, re.M) is not None
        # A line that ends with its expected output.
        self.expected = re.findall(r"^.*\bprint\(.*\)\s*// (.+)$", text, re.M)

    @property
    def file_name(self):
        return "App.swift" if self.is_test or re.search(r"^@main\b", self.text, re.M) else "main.swift"


def blocks(file):
    """Returns the Swift blocks of a Markdown file, with the numbers of their first lines."""
    lines, start, fence = file.read_text().splitlines(), None, None
    for number, line in enumerate(lines, 1):
        if start is None and re.match(r"\s*```swift", line):
            start, fence = number + 1, len(line) - len(line.lstrip())
        elif start is not None and line.strip() == "```":
            yield start, "\n".join(text[fence:] for text in lines[start - 1:number - 1]) + "\n"
            start = None


def examples(files):
    for file in files:
        for line, text in blocks(file):
            yield Example(file, line, text)


def write_if_changed(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def write_package(folder, found):
    targets, wanted = [], set()
    for example in found:
        for setting, value in SETTINGS.items():
            name = f"{example.name}-{setting}"
            path = folder / ("Tests" if example.is_test else "Sources") / name / example.file_name
            write_if_changed(path, example.text)
            wanted.add(path)
            kind = "testTarget" if example.is_test else "executableTarget"
            targets.append(
                f'        .{kind}(name: "{name}", dependencies: products, swiftSettings: {value}),')
    for path in list(folder.glob("Sources/*/*.swift")) + list(folder.glob("Tests/*/*.swift")):
        if path not in wanted:
            path.unlink()
    write_if_changed(folder / "Package.swift", f"""// swift-tools-version: 6.2
import PackageDescription

let products: [Target.Dependency] = ["AsyncIO", "AsyncIOTesting", "Selectors", "Proactors"].map {{
    .product(name: $0, package: "swift-asyncio")
}}

let package = Package(
    name: "documentation-examples",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "swift-asyncio", path: "{os.path.relpath(ROOT, folder)}")],
    targets: [
{chr(10).join(targets)}
    ]
)
""")


def package(folder):
    return ["--package-path", str(folder), "--scratch-path", str(SCRATCH)]


def build(folder, found):
    """Returns true if everything was built without a warning. Everything is built again, so that all warnings are reported."""
    for path in list(folder.glob("Sources/*/*.swift")) + list(folder.glob("Tests/*/*.swift")):
        os.utime(path)
    command = ["swift", "build", *package(folder)]
    if any(example.is_test for example in found):
        command.append("--build-tests")
    built = subprocess.run(command, capture_output=True, text=True)
    output = built.stdout + built.stderr
    warnings = [line for line in output.splitlines() if re.match(rf"{re.escape(str(folder))}/.*warning: ", line)]
    if built.returncode != 0:
        errors = [line for line in output.splitlines() if "error:" in line]
        print("\n".join(errors or output.splitlines()[-40:]))
    print("\n".join(warnings), end="\n" if warnings else "")
    return built.returncode == 0 and not warnings


def any_port(folder):
    """Returns an environment in which a server does not get port 8888."""
    library = folder / "any_port.so"
    if sys.platform == "linux" and not library.exists():
        source = ROOT / "Tests" / "UserPackages" / "any_port.c"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    # stdbuf, which makes output unbuffered, preloads a library too.
    return {**os.environ, "LD_PRELOAD": str(library)} if sys.platform == "linux" else os.environ


def run(program, expected, environment):
    """Returns what is wrong with a run of the program, as a message, or None."""
    # A shell lets what it starts in the background ignore SIGINT.
    process = subprocess.Popen(
        ["env", "--default-signal=INT", "stdbuf", "-oL", str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment)
    process.stdin.write(b"one\ntwo\n")
    process.stdin.close()
    process.stdin = None
    output, deadline, is_interrupted = b"", time.monotonic() + PATIENCE_SECONDS, False
    try:
        while True:
            if not select.select([process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                return f"did not end within {PATIENCE_SECONDS} seconds"
            data = os.read(process.stdout.fileno(), 65536)
            if not data:
                break
            output += data
            if not is_interrupted and re.search(rb"^listening on .*\n", output, re.M):
                is_interrupted = True
                process.send_signal(signal.SIGINT)
        status = process.wait(max(1, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return f"did not end within {PATIENCE_SECONDS} seconds"
    finally:
        process.kill()
        errors = process.communicate()[1].decode(errors="replace").strip()
    lines = output.decode(errors="replace").splitlines()
    missing = [text for text in expected if text not in lines]
    if status != (-signal.SIGINT if is_interrupted and status < 0 else 0):
        return f"ended with status {status}: {errors or lines}"
    if missing:
        return f"did not print {missing}, but {lines}"
    return f"printed on standard error: {errors}" if errors else None


def check_package(folder, example):
    """Returns what is wrong with a Package.swift, as a message, or None."""
    parent = folder / example.name
    write_if_changed(parent / "hello" / "Package.swift", example.text)
    link = parent / "swift-asyncio"
    if not link.exists():
        link.symlink_to(ROOT)
    resolved = subprocess.run(
        ["swift", "package", "--package-path", str(parent / "hello"), "show-dependencies"], capture_output=True, text=True)
    return None if resolved.returncode == 0 else f"does not resolve: {resolved.stderr.strip()}"


def main():
    if len(sys.argv) < 3:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    folder = pathlib.Path(sys.argv[1]).resolve()
    every = list(examples([pathlib.Path(file).resolve() for file in sys.argv[2:]]))
    found = [example for example in every if not example.is_package]
    write_package(folder, found)
    if not build(folder, found):
        print("examples: the build failed or has warnings")
        return 1
    bin_path = subprocess.run(
        ["swift", "build", *package(folder), "--show-bin-path"], capture_output=True, text=True, check=True)
    programs, environment, problems = pathlib.Path(bin_path.stdout.strip()), any_port(folder), 0
    for example in every:
        problem = check_package(folder, example) if example.is_package else None
        if problem:
            print(f"{example.place} {problem}")
            problems += 1
    for example in found:
        for setting in SETTINGS if not example.is_test else ():
            problem = run(programs / f"{example.name}-{setting}", example.expected, environment)
            if problem:
                print(f"{example.place} ({setting} settings) {problem}")
                problems += 1
    if any(example.is_test for example in found):
        tested = subprocess.run(
            ["swift", "test", "--skip-build", *package(folder)], capture_output=True, text=True)
        if tested.returncode != 0:
            print(tested.stdout[-4000:] + tested.stderr[-4000:])
            problems += 1
    print(f"examples: {len(found)}, each with default settings and with upcoming features; problems: {problems}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
