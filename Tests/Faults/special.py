"""Faults that need more than one error in one call: preloaded calls, and errors that last."""

import errno
import time

import judge
import plan
import preload
import running
import tracing
from calls import ERRORS, QUIETLY, REPORTED
from exchange import EXACT, FEW_BYTES, Client, converse
from running import Conditions

# name: (the variables of short_counts.c, the bytes of the first client)
PRELOADED = {
    "one byte per send": ({"FAULTS_MOST_SENT": 1}, 1 << 11),
    "4,099 bytes per send": ({"FAULTS_MOST_SENT": 4099}, 1 << 20),
    "one byte per receive": ({"FAULTS_MOST_RECEIVED": 1}, 1 << 11),
    "4,099 bytes per receive": ({"FAULTS_MOST_RECEIVED": 4099}, 1 << 20),
    "EINTR of each close": ({"FAULTS_CLOSE": errno.EINTR}, FEW_BYTES),
    "EIO of each close": ({"FAULTS_CLOSE": errno.EIO}, FEW_BYTES),
    "EINTR of each connect": ({"FAULTS_CONNECT": errno.EINTR}, FEW_BYTES),
}
LASTING = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]
# The attempts that fail, and the least time they take if the server backs off for 100 ms after each.
ATTEMPTS, LEAST_SECONDS = 6, 0.45


class Special:
    """What a fault needs to be judged and reported."""

    phase = plan.SERVING

    def __init__(self, program, loop, name, error, manner):
        self.program, self.loop, self.name, self.error, self.manner = program, loop, name, error, manner

    def __str__(self):
        return f"{self.program.name} on {self.loop}: {self.name}"


class Preloaded(Special):
    """A program whose C library moves fewer bytes, or returns errors of calls that have done their work."""

    def __init__(self, program, loop, name, library):
        super().__init__(program, loop, name, "", QUIETLY)
        self.library = library

    def problem(self, built, _):
        variables, byte_count = PRELOADED[self.name]
        environment = preload.environment(self.library, variables)
        run = self.program.run(built, self.loop, Conditions(byte_count=byte_count), environment=environment)
        return judge.problem(self, run)


class Interruptions(Special):
    """Every second call that a signal can interrupt is interrupted."""

    def __init__(self, program, loop):
        super().__init__(program, loop, "EINTR of every second call", "EINTR", QUIETLY)

    def problem(self, built, prefix):
        # Not of read(2), which the loader calls and does not repeat.
        names = ",".join(call for call, errors in ERRORS.items() if errors.get("EINTR") == QUIETLY and call != "read")
        options = [
            "--seccomp-bpf", "-e", "signal=none", "-e", f"trace={names}", "-e", f"inject={names}:error=EINTR:when=1+2"]
        return judge.problem(self, self.program.run(built, self.loop, Conditions(), prefix, options))


class LastingShortage(Special):
    """Accepting fails for half a second, while one client is served and another one waits."""

    def __init__(self, program, loop, error):
        super().__init__(program, loop, f"accept4 {error} for {ATTEMPTS} attempts", error, REPORTED)
        self.waited = 0.0
        self.answers = 0

    def problem(self, built, prefix):
        # The first client is accepted in the first call, and the second call finds nobody.
        options = [
            "--seccomp-bpf", "-e", "signal=none", "-e", "trace=accept4",
            "-e", f"inject=accept4:error={self.error}:when=3..{2 + ATTEMPTS}"]
        run = running.serve(self.program.command(built, self.loop), self.talk, prefix, options)
        attempts = sum(call.is_injected for call in tracing.calls(run.trace))
        if attempts != ATTEMPTS:
            return f"{attempts} attempts failed, not {ATTEMPTS}"
        if not LEAST_SECONDS <= self.waited:
            return f"tries {ATTEMPTS} times in {self.waited:.2f} s"
        if self.answers < ATTEMPTS:
            return f"answers the other client only {self.answers} times meanwhile"
        return judge.problem(self, run)

    def talk(self, address, run):
        """A client that is connected already, and one that has to wait."""
        served = Client(address, may_nudge=False)
        served.exchange(64)
        began = time.monotonic()
        waiting = Client(address, may_nudge=False)
        waiting.send(64)
        while not waiting.is_readable():
            served.exchange(served.sent + 64)
            self.answers += 1
            time.sleep(0.01)
        self.waited = time.monotonic() - began
        for client in [served, waiting]:
            client.exchange(client.sent + 64, upto_eof=True)
            client.socket.close()
            run.clients.append(EXACT)
        run.clients.append(converse(address))


def moves_less(program, loop):
    """Whether a call may move less than it could. With an edge-triggered selector that says that no more can be moved:
    epoll(7). A datagram is moved as a whole."""
    return loop != "epoll" and not program.is_datagram


def all_of(chosen, loops, library):
    """Returns the special faults of the programs. Only programs that connect get errors of connect(2)."""
    servers = [program for program in chosen if program.accepts]
    faults = []
    for loop in loops:
        faults += [Interruptions(program, loop) for program in chosen]
        for program in chosen:
            faults += [
                Preloaded(program, loop, name, library) for name in PRELOADED
                if ("connect" not in name or program.connects) and ("per" not in name.split() or moves_less(program, loop))]
        faults += [
            LastingShortage(server, loop, LASTING[number % len(LASTING)]) for number, server in enumerate(servers)]
    return faults
