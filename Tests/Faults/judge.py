"""What is wrong with a run in which a fault was injected."""

import errno
import os
import signal

from calls import DROPPED, ENDS, PEER, QUIETLY, READER
from exchange import EXACT


def reason(fault):
    """What the system calls the error, in lower case, as some messages have it."""
    return os.strerror(getattr(errno, fault.error)).lower() if fault.error.startswith("E") else ""


def is_reported(fault, run):
    return any(reason(fault) in line.lower() for line in run.errors)


def failed_to_run(fault, run):
    """Returns what is wrong with a program that ended by itself: it must say in one line why."""
    if run.status != 1:
        return f"ended with status {run.status} by itself"
    if len(run.errors) != 1 or not fault.program.has_reported(run.errors) or not is_reported(fault, run):
        return f"ended without one line that says '{reason(fault)}': {run.errors}"
    return None


def problem(fault, run):
    """Returns a sentence, or None if the program has done what it must."""
    # The harness kills a program that hangs.
    if run.status < 0 and run.status != -signal.SIGKILL:
        return f"was ended by signal {-run.status}: {run.errors}"
    if run.wrong:
        return f"{run.wrong} {run.errors or ''}".rstrip()
    if not fault.program.is_server:
        return problem_of_conversation(fault, run)
    if not run.has_started:
        return f"does not start: {run.errors}" if fault.manner == QUIETLY else failed_to_run(fault, run)
    if run.ended_early:
        return "ended by itself" if fault.manner != ENDS else failed_to_run(fault, run)
    # It may have been about to end by itself when it was asked to.
    if run.status != 0 and (fault.manner == ENDS or fault.phase == "ending" and fault.manner != QUIETLY):
        return failed_to_run(fault, run)
    if run.status != 0 or not fault.program.summary.search(run.output):
        return f"ended with status {run.status}, and printed {run.output!r}, {run.errors}"
    if run.spins:
        return "uses processor time while it is idle"
    return problem_of_clients(fault, run)


def problem_of_clients(fault, run):
    lost = [client for client in run.clients if client != EXACT]
    if len(lost) > 1 or run.clients[-1] != EXACT:
        return f"does not serve the next client: {run.clients}"
    if run.descriptors[1] > run.descriptors[0]:
        return f"has {run.descriptors[1] - run.descriptors[0]} more descriptors than before"
    if fault.manner == QUIETLY and (lost or run.errors):
        return f"is disturbed: {run.clients}, {run.errors}"
    if lost and fault.manner not in (PEER, DROPPED) and not is_reported(fault, run):
        return f"says nothing about '{reason(fault)}', which ended a connection ({lost[0]}): {run.errors}"
    if len(run.errors) > 2 or not fault.program.has_reported(run.errors):
        return f"prints more than a line: {run.errors}"
    if run.errors and not is_reported(fault, run):
        return f"does not name '{reason(fault)}': {run.errors}"
    return None


def problem_of_conversation(fault, run):
    """The same for a program that ends by itself when it has moved all bytes."""
    if run.spins:
        return "uses processor time while it is idle"
    if run.clients == [EXACT] and run.status == 0 and not run.errors:
        return None
    if fault.manner == QUIETLY:
        return f"is disturbed: {run.clients}, status {run.status}, {run.errors}"
    if run.status == 0 and fault.manner == READER:
        return None if not run.errors else f"reports that its reader has left: {run.errors}"
    if run.status == 0:
        return f"ended with status 0, although {run.clients[0]}, {run.errors}"
    return failed_to_run(fault, run)
