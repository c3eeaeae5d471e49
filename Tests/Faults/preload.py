"""The library that is preloaded into programs: `short_counts.c`."""

import os
import subprocess


def build(folder):
    """Returns the path of the library."""
    library = f"{folder}/short_counts.so"
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), "short_counts.c")
    subprocess.run(["cc", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    return library


def environment(library, variables, base=None):
    """Returns the environment of a program with the library and its variables."""
    return {**(base or os.environ), "LD_PRELOAD": library, **{key: str(value) for key, value in variables.items()}}
