"""The state machine of one check: pure, told results and the time. No clock, no store, no loop."""

from __future__ import annotations

from otelhealth.checks.base import Check
from otelhealth.cron import Cron
from otelhealth.engine.rollup import Rollup
from otelhealth.model import CheckResult, StateChange, Status

RING = 20  # runs that failure rate and flapping look at
RING_BITS = (1 << RING) - 1
FLAPPING, CALM = 6, 4  # changes among them from which a check flaps, and below which it has calmed down


class Debounce:
    """Runs make a state. All times in Unix seconds.

    A run that passes or warns counts as a success, one that fails as a failure, one that is unknown not at all. The
    state falls to `fail` at `max_consecutive_failures` and rises after `rise` successes; in between it holds. A check
    that never ran is `unknown`, and stays so until it passes, warns, or has failed often enough: no failure, not even
    the first, makes it `pass`. Without a known result for every + grace any state becomes `unknown` and `overdue`.
    """

    __slots__ = (
        "_cron",
        "check",
        "failures",
        "finished",
        "flapping",
        "fresh_until",
        "last",
        "last_failure",
        "last_success",
        "overdue",
        "ran",
        "ring",
        "rollup",
        "seen",
        "since",
        "status",
        "streak_since",
        "successes",
    )

    def __init__(self, check: Check, now: float) -> None:
        self.status = Status.UNKNOWN
        self.since: float | None = None  # true time of the last change
        self.last: CheckResult | None = None
        self.finished: float | None = None
        self.last_success: float | None = None
        self.last_failure: float | None = None
        self.failures = self.successes = 0  # consecutive
        self.flapping = False
        self.overdue = False  # unknown, and past its grace
        self.ran = False  # finished a run in this process
        self.streak_since = 0.0  # first run of the present streak of successes or failures
        self.ring = self.seen = 0  # the last 20 known results, newest in bit 0, 1 = failed
        self.rollup: Rollup | None = None
        self.fresh_until = 0.0
        self.replace(check, now)

    def replace(self, check: Check, now: float) -> None:
        """Follow new settings; what is known stays, and the next run has as long as they say."""
        self.check = check
        self._cron = Cron(check.cron, check.timezone) if check.cron else None
        self.fresh_until = max(self.fresh_until, now + self.horizon(now))

    @property
    def name(self) -> str:
        return self.check.name

    @property
    def undecided(self) -> bool:
        """Whether the last result speaks against a state that holds: the check is to run faster."""
        if self.last is None or self.last.status is Status.UNKNOWN:
            return False
        if self.status is Status.FAIL:
            return 0 < self.successes < self.check.threshold.rise
        return 0 < self.failures < self.check.threshold.max_consecutive_failures

    @property
    def failure_rate(self) -> float | None:
        """Share of failures among the last 20 known results; None before there are 20."""
        return self.ring.bit_count() / RING if self.seen == RING else None

    @property
    def rate_sentence(self) -> str:
        return f"{self.ring.bit_count()} of the last {RING} runs failed"

    @property
    def fails_too_often(self) -> bool:
        rate = self.failure_rate
        return rate is not None and rate > self.check.threshold.max_failure_rate

    @property
    def pending(self) -> bool:
        """Not decided yet, and not past its grace: it speaks neither for the service nor against it."""
        return self.status is Status.UNKNOWN and not self.overdue

    def stale(self, now: float) -> bool:
        """No run has finished within every + grace."""
        if not self.check.enabled or now <= self.fresh_until:
            return False
        return self.finished is None or now > self.finished + self.horizon(self.finished)

    def apply(self, result: CheckResult, now: float) -> StateChange | None:
        """Take in a run that finished `now`; the change of state, if it made one."""
        self.last = result
        self.finished = now
        self.ran = True
        if result.status is Status.UNKNOWN:
            return None
        ok = result.status is not Status.FAIL
        self._count(ok, result, now)
        self.fresh_until = now + self.horizon(now)
        target = self._target(result.status, ok)
        if target is self.status:
            return None
        streak = Status.FAIL in (target, self.status) and self.streak_since >= (self.since or 0.0)
        since = self.streak_since if streak else result.started
        if target is Status.WARN and result.status is not Status.WARN:
            return self._move(target, since, now, self.rate_sentence, "failure_rate")
        return self._move(target, since, now, result.message, result.error_type)

    def expire(self, now: float) -> StateChange | None:
        """Become `unknown` once no known result came within every + grace; true since the moment that passed."""
        if now <= self.fresh_until or not self.check.enabled:
            return None
        was, self.overdue = self.overdue, True
        if self.status is Status.UNKNOWN:
            if not was and self.since is None:
                self.since = self.fresh_until
            return None
        stale = self.stale(now)
        last = self.last if self.last and not stale else None
        why = last.message if last else "no run finished within its interval and grace"
        kind = (last.error_type if last else None) or ("stale" if stale else None)
        return self._move(Status.UNKNOWN, self.fresh_until, now, why, kind)

    def horizon(self, moment: float) -> float:
        """Seconds after `moment` within which the next run is to have finished."""
        check = self.check
        grace = max(2 * check.every, check.longest_run) if check.grace is None else check.grace
        return (check.every if self._cron is None else self._cron.after(moment) - moment) + grace

    def due(self) -> float | None:
        """When the run after the last one is due; None where none has finished."""
        if self.finished is None:
            return None
        return self.finished + self.check.every if self._cron is None else self._cron.after(self.finished)

    def shift(self, seconds: float) -> None:
        """The wall clock was set by `seconds`: nothing grows stale by that."""
        if self._cron is None:
            self.fresh_until += seconds

    def _count(self, ok: bool, result: CheckResult, now: float) -> None:
        if ok:
            if self.successes == 0:
                self.streak_since = result.started
            self.successes += 1
            self.failures = 0
            self.last_success = now
        else:
            if self.failures == 0:
                self.streak_since = result.started
            self.failures += 1
            self.successes = 0
            self.last_failure = now
        ring = self.ring = ((self.ring << 1) | (not ok)) & RING_BITS
        self.seen = min(RING, self.seen + 1)
        changes = ((ring ^ (ring >> 1)) & ((1 << (self.seen - 1)) - 1)).bit_count()
        self.flapping = changes >= (CALM if self.flapping else FLAPPING)
        if self.rollup is None:
            self.rollup = Rollup()
        self.rollup.add(now, ok, result.duration)

    def _target(self, result: Status, ok: bool) -> Status:
        threshold = self.check.threshold
        if not ok:
            target = Status.FAIL if self.failures >= threshold.max_consecutive_failures else self.status
        elif self.status is Status.FAIL and self.successes < threshold.rise:
            target = Status.FAIL
        else:
            target = result
        return Status.WARN if target is Status.PASS and self.fails_too_often else target

    def _move(self, status: Status, since: float, now: float, message: str, error_type: str | None) -> StateChange:
        previous, self.status, self.since = self.status, status, since
        self.overdue = status is Status.UNKNOWN
        last = self.last
        trace_id, span_id = (last.trace_id, last.span_id) if last else ("", "")
        return StateChange(self.check.name, previous, status, since, now, message, error_type, trace_id, span_id)
