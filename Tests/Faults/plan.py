"""Which faults to inject into which calls: a dry run of each program finds its call sites."""

import collections

import judge
import tracing
from calls import ERRORS, EXEMPT, EXEMPT_LIBRARIES, LOADER, QUIETLY, errors_of, is_known
from exchange import EXACT
from running import Conditions

START, SERVING, ENDING = "start", "serving", "ending"
# How often a fault is tried again whose call was not made.
ATTEMPTS = 3


class Fault:
    """One fault in one call of one program on one loop."""

    def __init__(self, program, loop, call, phase, later_calls, fault):
        self.program, self.loop, self.call, self.phase = program, loop, call, phase
        # The number of calls of this name that follow.
        self.later_calls = later_calls
        self.injection, self.error, self.manner = fault

    @property
    def name(self):
        return self.call.name

    @property
    def may_nudge(self):
        # An edge-triggered selector reports bytes once, and the kernel never has bytes when it says that it has none.
        return self.loop == "epoll" and self.error == "EAGAIN" and self.call.name.startswith(("recv", "read"))

    def problem(self, built, prefix):
        """Injects the fault. Returns what the program did wrong, if anything."""
        name = self.call.name
        conditions = Conditions(may_lose=self.manner != QUIETLY, may_nudge=self.may_nudge)
        reason, ordinal = "was not reached", self.call.ordinal
        for _ in range(ATTEMPTS):
            options = [
                "--seccomp-bpf", "-e", "signal=none", "-e", f"trace={name}",
                "-e", f"inject={name}:{self.injection}:when={ordinal}"]
            try:
                run = self.program.run(built, self.loop, conditions, prefix, options)
            except tracing.Unfinished as error:
                reason = f"strace did not finish {error}"
                continue
            made = [call for call in tracing.calls(run.trace) if call.name == name]
            if any(call.is_injected for call in made):
                return judge.problem(self, run)
            # There were fewer calls before it. The number of those that follow it varies less.
            ordinal = max(1, len(made) - self.later_calls)
        return reason

    def __str__(self):
        return f"{self.program.name} on {self.loop}, {self.phase}: {self.call.name} #{self.call.ordinal} {self.error}"


class DryRun:
    """The calls of a program without a fault: all of them, and the call sites of those that are injected."""

    def __init__(self, built, program, loop, folder):
        self.program, self.loop, self.title = program, loop, f"{program.name} on {loop}"
        prefix = f"{folder}/dry-{program.name}-{loop}"
        self.all_calls, self.other_names = self.trace(built, f"{prefix}-all", [])
        if not program.blocked(self.all_calls):
            raise SystemExit(f"faults: no send of {self.title} blocks")
        names = ",".join(sorted({call.name for call in self.all_calls} & ERRORS.keys()))
        # With the stack of each call, which takes long.
        self.calls, _ = self.trace(built, prefix, ["--seccomp-bpf", "-k", "-e", f"trace={names}"])
        self.phases = self.find_phases()

    def trace(self, built, prefix, options):
        run = self.program.run(built, self.loop, Conditions(), prefix, options)
        if run.wrong or set(run.clients) != {EXACT} or run.status != 0 or run.errors:
            raise SystemExit(f"faults: {self.title} fails without a fault: {vars(run)}")
        return tracing.calls(run.trace), tracing.other_calls(prefix, run.number)

    def find_phases(self):
        """Returns the phase of each call."""
        phase, phases = START, []
        for call in self.calls:
            phases.append(phase)
            if call.name == "SIGTERM":
                phase = ENDING
            elif phase == START and self.program.begins_to_serve(call):
                phase = SERVING
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


def is_lost(fault):
    """Whether an edge-triggered selector would never report what the fault hides: it reports arrivals, and nothing
    arrives at a program that reads no more while its server waits for room."""
    return not fault.program.is_server and fault.may_nudge and fault.name.startswith("recv") and fault.call.ordinal > 1


def faults_of(dry, program, loop, is_full, known):
    """Returns the faults to inject: every error of the first call at each site, or of every call. `known` has the stacks of
    the calls with which programs of this kind have started and ended: the same code fails in the same way."""
    sites = []
    for calls in dry.sites().values():
        call, phase = calls[0]
        stack = (type(program), loop, phase, call.name, tuple(call.frames))
        if is_full or phase == SERVING or stack not in known:
            sites.append(calls)
        known.add(stack)
    counts = collections.Counter(call.name for call in dry.calls)
    faults = [
        Fault(program, loop, call, phase, counts[call.name] - call.ordinal, fault)
        for calls in sites for call, phase in (calls if is_full else calls[:1])
        for fault in errors_of(call.name, loop, program)]
    return [fault for fault in faults if not is_lost(fault)]
