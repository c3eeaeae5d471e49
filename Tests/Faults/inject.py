#!/usr/bin/env python3
"""Injects an error into every system call of each program on every selector loop, and checks what it does.

usage: inject.py AIO SERVER [--full] [--loops epoll,poll,select] [--programs NAMES] [--calls NAMES] [--jobs N] [--keep]
"""

# covers: F1, F2, F66

import argparse
import collections
import concurrent.futures
import os
import shutil
import sys
import tempfile
import time

import plan
import preload
import programs
import special
import tracing


def dry_runs(built, chosen, loops, folder, jobs):
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        runs = [
            (program, loop, pool.submit(plan.DryRun, built, program, loop, folder)) for program in chosen for loop in loops]
        return [(program, loop, run.result()) for program, loop, run in runs]


def main():
    parser = argparse.ArgumentParser(usage=__doc__.split("usage: ")[1].strip())
    for name in tracing.EXECUTABLES:
        parser.add_argument(name)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--loops", default="epoll,poll,select")
    parser.add_argument("--programs", default="")
    parser.add_argument("--calls", default="")
    # The programs mostly wait.
    parser.add_argument("--jobs", type=int, default=3 * len(os.sched_getaffinity(0)))
    parser.add_argument("--keep", action="store_true")
    arguments = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="faults-")
    try:
        return check(arguments, folder)
    finally:
        if arguments.keep:
            print(f"faults: the traces are in {folder}")
        else:
            shutil.rmtree(folder)


def check(arguments, folder):
    began = time.monotonic()
    built = {name: getattr(arguments, name) for name in tracing.EXECUTABLES}
    loops = arguments.loops.split(",")
    names = set(filter(None, arguments.programs.split(",")))
    library = preload.build(folder)
    chosen = [program for program in programs.all_programs(library) if not names or program.name in names]
    runs = dry_runs(built, chosen, loops, folder, arguments.jobs)
    problems = [problem for _, _, dry in runs for problem in dry.undecided()]

    faults, known = [], set()
    for program, loop, dry in runs:
        faults += plan.faults_of(dry, program, loop, arguments.full, known)
    only = set(filter(None, arguments.calls.split(",")))
    faults = [fault for fault in faults if not only or fault.name in only]
    sites = {(loop, site) for _, loop, dry in runs for _, site in dry.sites()}
    if not only or "special" in only:
        faults += special.all_of(chosen, loops, library)
    print(f"faults: {len(faults)} faults; {len(sites)} call sites, found in {time.monotonic() - began:.0f} s", flush=True)

    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        found = pool.map(lambda item: item[1].problem(built, f"{folder}/{item[0]}"), enumerate(faults))
        problems += [f"{fault}: {problem}" for fault, problem in zip(faults, found) if problem]
    for problem in problems:
        print(f"FAILED: {problem}")
    by_name = collections.Counter(fault.name for fault in faults)
    print("faults: " + ", ".join(f"{name} {count}" for name, count in sorted(by_name.items())))
    print(f"faults: {len(faults)} injected, {len(problems)} problems, in {time.monotonic() - began:.0f} s")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
