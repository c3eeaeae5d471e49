#!/usr/bin/env python3
"""Runs the scenarios of this directory on CPython's asyncio, and records what happens in which iteration and order.

    asyncio_trace.py [WORD]...   the traces as JSON, {scenario: [line, ...]}; only of scenarios with a WORD in the name
    asyncio_trace.py --ours ...  the same on asyncio changed by the differences that are meant
    asyncio_trace.py --record    writes expected.json and expected-ours.json
    asyncio_trace.py --check     fails unless both files are what this interpreter does

README.md describes the language. An operation is the method of the same name below; its fields are the parameters.
"""

import json
import pathlib
import sys

from loops import OurLoop, TracedLoop
from scenario import Scenario

HERE = pathlib.Path(__file__).resolve().parent
EXPECTED = HERE / "expected.json"
EXPECTED_OURS = HERE / "expected-ours.json"


def load():
    scenarios = {}
    for path in sorted((HERE / "scenarios").glob("*.json")):
        for scenario in json.loads(path.read_text())["scenarios"]:
            if scenarios.setdefault(scenario["name"], scenario) is not scenario:
                raise SystemExit(f"two scenarios are named: {scenario['name']}")
    return scenarios


def traces(scenarios, loop_type):
    return {name: Scenario(loop_type(), **scenario).trace() for name, scenario in scenarios.items()}


def recordings():
    """Returns the contents of the two files: every trace of asyncio, and the traces of the library's loop that differ."""
    scenarios = load()
    asyncios, ours = traces(scenarios, TracedLoop), traces(scenarios, OurLoop)
    ours.update({name: scenario["ours"] for name, scenario in scenarios.items() if "ours" in scenario})
    for name, scenario in scenarios.items():
        if (asyncios[name] != ours[name]) != ("difference" in scenario):
            verb = "lacks" if asyncios[name] != ours[name] else "does not need"
            raise SystemExit(f"{name}: {verb} the field 'difference'")
    return {EXPECTED: asyncios, EXPECTED_OURS: {name: ours[name] for name in ours if ours[name] != asyncios[name]}}


def check():
    sound = True
    for path, current in recordings().items():
        recorded = json.loads(path.read_text())
        for name in sorted(current.keys() | recorded.keys()):
            if current.get(name) != recorded.get(name):
                sound = False
                print(f"{path.name}: {name}\n  recorded {recorded.get(name)}\n  now      {current.get(name)}")
    return sound


def text(value):
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def main(arguments):
    if arguments == ["--check"]:
        return 0 if check() else 1
    if arguments == ["--record"]:
        for path, current in recordings().items():
            path.write_text(text(current))
        return 0
    loop_type = TracedLoop
    if arguments[:1] == ["--ours"]:
        loop_type, arguments = OurLoop, arguments[1:]
    wanted = {n: s for n, s in load().items() if not arguments or any(word in n for word in arguments)}
    sys.stdout.write(text(traces(wanted, loop_type)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
