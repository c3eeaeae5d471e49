"""Which faults to inject into which calls: a dry run of each program finds its call sites."""

import re

import judge
import programs
import tracing
from calls import ERRORS, EXEMPT, EXEMPT_LIBRARIES, LOADER, errors_of, is_known
from exchange import BULK_BYTES, EXACT, converse

START, SERVING, ENDING = "start", "serving", "ending"
# How often a fault is tried again whose call was not made.
ATTEMPTS = 3


class Fault:
    """One fault in one call of one program on one loop."""

    def __init__(self, program, loop, call, phase, fault):
        self.program, self.loop, self.call, self.phase = program, loop, call, phase
        self.injection, self.error, self.manner = fault

    @property
    def name(self):
        return self.call.name

    @property
    def option(self):
        return f"inject={self.call.name}:{self.injection}:when={self.call.ordinal}"

    @property
    def may_nudge(self):
        # An edge-triggered selector reports bytes once, and the kernel never has bytes when it says that it has none.
        return self.loop == "epoll" and self.error == "EAGAIN" and self.call.name.startswith(("recv", "read"))

    def problem(self, aio, prefix):
        """Injects the fault. Returns what the program did wrong, if anything."""
        name = self.call.name
        options = ["--seccomp-bpf", "-e", "signal=none", "-e", f"trace={name}", "-e", self.option]
        reason = "was not reached"
        for _ in range(ATTEMPTS):
            try:
                run = programs.run(self.program.command(aio, self.loop), talk(self.may_nudge), prefix, options)
            except tracing.Unfinished as error:
                reason = f"strace did not finish {error}"
                continue
            if any(call.is_injected for call in tracing.calls(run.trace)):
                return judge.problem(self, run)
        return reason

    def __str__(self):
        return f"{self.program.name} on {self.loop}, {self.phase}: {self.call.name} #{self.call.ordinal} {self.error}"


def talk(may_nudge=False, byte_count=BULK_BYTES):
    """Returns what the clients do: one whose bytes block the program, one more, and another if that one fails too."""

    def clients(address, add, run):
        add(converse(address, byte_count, may_nudge, lambda: programs.wait_until_idle(run.number)))
        add(converse(address, may_nudge=may_nudge))
        if run.clients[-1] != EXACT:
            add(converse(address))

    return clients


def found_no_room(call):
    """Whether a send moved less than all bytes."""
    offered = re.search(r", (\d+), MSG_", call.shape)
    return call.name == "sendto" and ("EAGAIN" in call.result or int(offered[1]) > int(call.result.split()[0]))


class DryRun:
    """The calls of a program without a fault: all of them, and the call sites of those that are injected."""

    def __init__(self, aio, program, loop, folder):
        self.title = f"{program.name} on {loop}"
        prefix = f"{folder}/dry-{program.name}-{loop}"
        self.all_calls, self.other_names = self.trace(program.command(aio, loop), f"{prefix}-all", [])
        if not any(map(found_no_room, self.all_calls)):
            raise SystemExit(f"faults: no send of {self.title} blocks")
        names = ",".join(sorted({call.name for call in self.all_calls} & ERRORS.keys()))
        # With the stack of each call, which takes long.
        self.calls, _ = self.trace(program.command(aio, loop), prefix, ["--seccomp-bpf", "-k", "-e", f"trace={names}"])
        self.phases = self.find_phases()

    def trace(self, command, prefix, options):
        run = programs.run(command, talk(), prefix, options)
        if run.wrong or run.clients != [EXACT] * 2 or run.status != 0 or run.errors:
            raise SystemExit(f"faults: {self.title} fails without a fault: {vars(run)}")
        return tracing.calls(run.trace), tracing.other_calls(prefix, run.number)

    def find_phases(self):
        """Returns the phase of each call."""
        phase, phases = START, []
        for call in self.calls:
            phases.append(phase)
            if call.name == "SIGTERM":
                phase = ENDING
            elif call.name == "write" and call.shape.startswith("1,"):
                phase = SERVING if phase == START else phase
        return phases

    def undecided(self):
        """Returns what the program calls and nobody has decided about."""
        names = {call.name for call in self.all_calls} | self.other_names
        problems = [f"calls {name}, which calls.py does not know" for name in names - {"SIGTERM"} if not is_known(name)]
        loading = True
        for call in self.all_calls:
            # The first call of `main`.
            loading = loading and not (call.name == "rt_sigaction" and call.shape.startswith("SIGPIPE"))
            if not loading and EXEMPT.get(call.name) == LOADER:
                problems.append(f"calls {call.name}, which calls.py exempts for the loader only")
        return [f"{self.title} {problem}" for problem in sorted(set(problems))]

    def sites(self):
        """Returns the calls at each site, in order. Calls that no function of the program made belong to the loader."""
        found = {}
        for call, phase in zip(self.calls, self.phases):
            if call.name in ERRORS and call.frames and not EXEMPT_LIBRARIES.keys() & set(call.libraries):
                found.setdefault((phase, call.site), []).append((call, phase))
        return found


def faults_of(dry, program, loop, is_full):
    """Returns the faults to inject: every error of the first call at each site, or of every call."""
    return [
        Fault(program, loop, call, phase, fault)
        for calls in dry.sites().values() for call, phase in (calls if is_full else calls[:1])
        for fault in errors_of(call.name, loop)]
