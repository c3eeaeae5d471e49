"""Runs a command under a seccomp profile: under_profile.py PROFILE COMMAND...

Reads what the format of container tools needs for the profiles of this repository: rules without conditions on the
container or on the kernel. A rule with arguments counts as one without, because classic filters are too weak for some.
"""
import ctypes
import json
import os
import platform
import re
import struct
import subprocess
import sys

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
LOAD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, ERROR, KILL = 0x7FFF0000, 0x00050000, 0x80000000


def numbers():
    """The numbers of the system calls, from the headers of the C library."""
    text = subprocess.run(
        ["cc", "-E", "-dM", "-"], input="#include <sys/syscall.h>\n#include <asm/unistd.h>\n", text=True,
        capture_output=True, check=True).stdout
    return {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", text)}


def action(name, errno):
    return ALLOW if name == "SCMP_ACT_ALLOW" else ERROR | (1 if errno is None else errno)


def program(profile):
    number_of = numbers()

    def step(code, operand, if_true=0, if_false=0):
        """The conditions are how many steps are skipped then."""
        return struct.pack("HBBI", code, if_true, if_false, operand)

    architecture = ARCHITECTURES[platform.machine()]
    steps = [step(LOAD, 4), step(JUMP_IF_EQUAL, architecture, if_true=1), step(RETURN, KILL), step(LOAD, 0)]
    for rule in profile["syscalls"]:
        for name in rule["names"]:
            if name in number_of:
                steps.append(step(JUMP_IF_EQUAL, number_of[name], if_false=1))
                steps.append(step(RETURN, action(rule["action"], rule.get("errnoRet"))))
    steps.append(step(RETURN, action(profile["defaultAction"], profile.get("defaultErrnoRet"))))
    return steps


def begin(steps):
    memory = ctypes.create_string_buffer(b"".join(steps))
    filter_of = struct.pack("HxxxxxxP", len(steps), ctypes.addressof(memory))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    # PR_SET_NO_NEW_PRIVS; PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    if prctl(38, 1, 0, 0, 0) != 0 or prctl(22, 2, ctypes.c_char_p(filter_of), 0, 0) != 0:
        sys.exit(f"under_profile.py: {os.strerror(ctypes.get_errno())}")


with open(sys.argv[1], encoding="utf-8") as file:
    begin(program(json.load(file)))
os.execv(sys.argv[2], sys.argv[2:])
