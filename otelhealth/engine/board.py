"""The states of all checks, and the service's kept up to date: a run that changes nothing costs one comparison."""

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from otelhealth.checks.base import Check
from otelhealth.engine.aggregate import UNHEALTHY, StatusSettings, score, worst
from otelhealth.engine.dependencies import root_cause
from otelhealth.engine.groups import Groups
from otelhealth.engine.maintenance import Maintenance
from otelhealth.engine.standings import Standings
from otelhealth.engine.state import CheckState
from otelhealth.model import GOOD, ServiceStatus, StateChange
from otelhealth.records import CheckRecord, Summary

STARTUP = "startup"


class View(NamedTuple):
    """The service, now. `status` is at least unhealthy while it starts or drains."""

    status: ServiceStatus
    score: float  # 0..100
    starting: bool
    draining: bool
    healthy: int  # checks that pass or warn
    total: int  # checks that count: enabled, and not in maintenance


class Board:
    """Keeps a CheckState per check by name, and what they make of the service.

    Call `touch(name)` after a state took in a result or was restored, and `sweep(now)` about once a second. `revision`
    grows whenever the answer of `view`, `groups` or `holds` may have changed.
    """

    def __init__(self, settings: StatusSettings | None = None) -> None:
        self.states: dict[str, CheckState] = {}
        self.revision = 0
        self.touched: set[str] | None = None  # names since a reader took them; None: nobody reads
        self._draining = False
        self._settings = settings or StatusSettings()
        self._maintenance = Maintenance(self._settings.maintenance)
        self._standings = Standings()
        self._groups = Groups()
        self._started = False
        self._next_sweep = self._now = float("-inf")
        self._view: tuple[int, View] | None = None

    def __iter__(self) -> Iterator[CheckState]:
        return iter(self.states.values())

    def configure(self, settings: StatusSettings) -> None:
        """Judge by new settings."""
        self._settings = settings
        self._maintenance = Maintenance(settings.maintenance)
        self._maintenance.changed(self._now)
        self._next_sweep = float("-inf")
        self._recount()

    def drain(self) -> None:
        """The service shuts down: not ready from now on."""
        self._draining = True
        self.revision += 1

    def put(self, check: Check, now: float) -> CheckState:
        """Add a check, or give a known one its new settings; its state stays."""
        state = self.states.get(check.name)
        if state is None:
            state = self.states[check.name] = CheckState(check, now)
        else:
            self._groups.leave(state.check)
            state.replace(check, now)
        self._groups.join(check)
        self._next_sweep = float("-inf")
        self.touch(check.name)
        self.revision += 1
        return state

    def drop(self, name: str) -> None:
        """Forget a check; a name that is not there is no error."""
        state = self.states.pop(name, None)
        if state is not None:
            self._groups.leave(state.check)
            self._standings.put(name, None)
            self.revision += 1
            self._note(name)

    def touch(self, name: str) -> None:
        """A state may have moved."""
        state = self.states[name]
        counts = state.check.enabled and not self._maintenance.covers(name)
        standing = (state.check.tier, state.status, state.pending) if counts else None
        news = self._standings.put(name, standing)
        if state.check.groups:
            news |= self._groups.tell(state.check, state.status in GOOD)
            news |= not self._started and STARTUP in state.check.groups
        self.revision += news
        if state.fresh_until < self._next_sweep and not state.overdue:
            self._next_sweep = state.fresh_until
        self._note(name)

    def sweep(self, now: float) -> list[StateChange]:
        """Let pass what time does: stale states, maintenance windows."""
        self._now = now
        if self._maintenance.changed(now):
            self._recount()
        if now <= self._next_sweep:
            return []
        changes = []
        for state in self.states.values():
            if now > state.fresh_until and not state.overdue:
                if change := state.expire(now):
                    changes.append(change)
                self.touch(state.name)
        fresh = (state.fresh_until for state in self.states.values() if not state.overdue and state.check.enabled)
        self._next_sweep = min(fresh, default=float("inf"))
        return changes

    def shift(self, seconds: float) -> None:
        """The wall clock was set by `seconds`."""
        for state in self.states.values():
            state.shift(seconds)
            self._note(state.name)
        self._next_sweep = float("-inf")

    def view(self) -> View:
        """The service by what was touched and swept so far; computed only when something changed."""
        if self._view is None or self._view[0] != self.revision:
            self._view = (self.revision, self._judge())
        return self._view[1]

    @property
    def starting(self) -> bool:
        """Until each check of the group `startup` has passed or warned in this process; then never again."""
        if not self._started:
            states = [self.states[name] for name in self._groups.members(STARTUP)]
            self._started = all(state.ran and state.status in GOOD for state in states)
        return not self._started

    def summary(self) -> Summary:
        """Errors: checks that fail, or are unknown past their grace, each with its sentence."""
        view = self.view()
        bad = (self.states[name] for name in self._standings.bad())
        errors = [f"{state.name}: {state.message(self._now)}" for state in bad]
        return Summary(healthy=view.healthy, total=view.total, errors=errors)

    def groups(self) -> Mapping[str, bool]:
        """Each group, and whether it holds."""
        return {group: self.holds(group) for group in self._groups}

    def holds(self, group: str) -> bool:
        """Whether a group holds; one without checks does."""
        return self._settings.holds(group, *self._groups.count(group))

    def members(self, group: str) -> Iterable[str]:
        """The enabled checks of a group."""
        return self._groups.members(group)

    def in_maintenance(self, name: str) -> bool:
        return self._maintenance.covers(name)

    def explained_by(self, name: str) -> str | None:
        """The failed check at the root of what this one depends on; None where it holds, or none of those fails."""
        return root_cause(name, self.states)

    def record(self, name: str, now: float, *, running: bool = False) -> CheckRecord | None:
        """The record of a check as it stands; None for a strange name."""
        state = self.states.get(name)
        if state is None:
            return None
        explained = self.explained_by(name)
        return state.record(now, running=running, maintenance=self.in_maintenance(name), explained_by=explained)

    def _note(self, name: str) -> None:
        if self.touched is not None:
            self.touched.add(name)

    def _judge(self) -> View:
        starting, standings = self.starting, self._standings
        status = standings.status(self._settings, self._groups)
        if starting or self._draining:
            status = worst((status, UNHEALTHY))
        tally = standings.tally
        return View(status, score(tally), starting, self._draining, standings.healthy(), tally.total())

    def _recount(self) -> None:
        for name in self.states:
            self.touch(name)
        self.revision += 1
