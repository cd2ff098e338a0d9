"""The state of one check, and how it is told (the record) and kept (the snapshot). Still pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from otelhealth.checks.base import Check, Threshold
from otelhealth.engine.debounce import RING, RING_BITS, Debounce
from otelhealth.engine.rollup import Rollup
from otelhealth.model import CheckResult, Measurement, Status
from otelhealth.records import CheckRecord, MeasurementRecord, ThresholdRecord
from otelhealth.units import duration_text

STEADY = 300.0  # s between snapshots of a check to which nothing happens
VERSION = 1


class CheckState(Debounce):
    """What is known of a check: the machine, its record and its snapshot."""

    __slots__ = ("_saved", "_saved_at")

    def __init__(self, check: Check, now: float) -> None:
        super().__init__(check, now)
        self._saved: tuple[object, ...] | None = None
        self._saved_at = 0.0

    def record(
        self, now: float, *, running: bool = False, maintenance: bool = False, explained_by: str | None = None
    ) -> CheckRecord:
        """What `/health/detailed` says of the check; `success_rate_7d` 0..1, `avg_response_time_1h` in milliseconds."""
        check, last, rollup = self.check, self.last, self.rollup
        average = rollup.average_1h(now) if rollup else None
        return CheckRecord(
            name=check.name,
            kind=check.kind,
            category=check.category,
            tier=check.tier,
            enabled=check.enabled,
            status=self.status.value,
            last_result=(last.status if last else Status.UNKNOWN).value,
            message=self.message(now),
            duration_ms=round(last.duration * 1000) if last else 0,
            last_success=_whole(self.last_success),
            last_failure=_whole(self.last_failure),
            last_run=_whole(self.finished),
            failure_count=self.failures,
            threshold=_threshold(check.threshold),
            since=_whole(self.since),
            measurements=_measurements(last),
            details=dict(last.details) if last else {},
            error_type=last.error_type if last else None,
            trace_id=last.trace_id if last else "",
            seconds_since_last=None if self.finished is None else max(0.0, round(now - self.finished, 3)),
            success_rate_7d=rollup.success_rate_7d(now) if rollup else None,
            avg_response_time_1h=None if average is None else average * 1000,
            error_count_24h=rollup.errors_24h(now) if rollup else 0,
            flapping=self.flapping,
            stale=self.stale(now),
            running=running,
            maintenance=maintenance,
            explained_by=explained_by,
            groups=list(check.groups),
            tags=list(check.tags),
            log=list(last.log) if last else [],
        )

    def snapshot_due(self, now: float) -> bool:
        """Whether something worth keeping happened since the last snapshot, or that one is 5 minutes old."""
        return now - self._saved_at >= STEADY or now < self._saved_at or self._gist() != self._saved

    def snapshot(self, now: float) -> dict[str, Any]:
        """All that is to survive a restart, JSON-able."""
        self._saved, self._saved_at = self._gist(), now
        return self.dump()

    def dump(self) -> dict[str, Any]:
        """All of it, JSON-able."""
        return {
            "version": VERSION,
            "status": self.status.value,
            "since": self.since,
            "last": _result_to(self.last),
            "finished": self.finished,
            "last_success": self.last_success,
            "last_failure": self.last_failure,
            "failures": self.failures,
            "successes": self.successes,
            "flapping": self.flapping,
            "streak_since": self.streak_since,
            "ring": self.ring,
            "seen": self.seen,
            "overdue": self.overdue,
            "ran": self.ran,
            "fresh_until": self.fresh_until,
            "rollup": self.rollup.dump() if self.rollup else None,
        }

    def restore(self, snapshot: Mapping[str, Any], now: float) -> None:
        """Go on from a snapshot; the grace starts anew. Raises ValueError for what `snapshot` did not write."""
        try:
            status = Status(snapshot["status"])
            last = _result_from(self.check.name, snapshot["last"])
            times = [_time(snapshot[key]) for key in ("since", "finished", "last_success", "last_failure")]
            numbers = [int(snapshot[key]) for key in ("failures", "successes", "ring", "seen")]
            streak, flapping = float(snapshot["streak_since"]), bool(snapshot["flapping"])
            rollup = Rollup.load(snapshot["rollup"]) if snapshot["rollup"] else None
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"a snapshot of {self.check.name} that cannot be read: {error!r}") from error
        self.status, self.last, self.streak_since, self.flapping, self.rollup = status, last, streak, flapping, rollup
        self.since, self.finished, self.last_success, self.last_failure = times
        self.failures, self.successes, ring, seen = numbers
        self.ring, self.seen = ring & RING_BITS, min(seen, RING)
        self.fresh_until = now + self.horizon(now)

    def mirror(self, snapshot: Mapping[str, Any], now: float) -> None:
        """Be as the state in another process that `snapshot` is of, its grace too; raises ValueError as `restore`."""
        self.restore(snapshot, now)
        self.overdue, self.ran = bool(snapshot.get("overdue")), bool(snapshot.get("ran"))
        self.fresh_until = float(snapshot.get("fresh_until", self.fresh_until))

    def _gist(self) -> tuple[object, ...]:
        """What may not be lost in a crash."""
        last = self.last.status if self.last else None
        return self.status, last, min(self.failures, self.check.threshold.max_consecutive_failures)

    def message(self, now: float) -> str:
        """The sentence of the last run, with what its state adds."""
        message = self.last.message if self.last else ""
        if self.finished is not None and self.stale(now):
            return f"no run has finished for {duration_text(now - self.finished)} (the last: {message})"
        if self.stale(now):
            return "no run has finished yet"
        if self.last and self.last.status is Status.PASS and self.status is Status.WARN:
            return f"{self.rate_sentence} ({message})"
        return message


def _whole(moment: float | None) -> int | None:
    return None if moment is None else int(moment)


def _time(value: object) -> float | None:
    return None if value is None else float(str(value))


def _threshold(threshold: Threshold) -> ThresholdRecord:
    return ThresholdRecord(
        max_response_time_ms=round(threshold.max_response_time * 1000),
        max_failure_rate=float(threshold.max_failure_rate),
        max_consecutive_failures=threshold.max_consecutive_failures,
    )


def _measurements(last: CheckResult | None) -> dict[str, MeasurementRecord]:
    return {
        one.key: MeasurementRecord(value=one.value, unit=one.unit, status=one.status.value)
        for one in (last.measurements if last else ())
    }


def _result_to(result: CheckResult | None) -> dict[str, Any] | None:
    if result is None:
        return None
    kept = ("message", "error_type", "started", "duration", "attempts", "trace_id", "span_id")
    return {
        **{key: getattr(result, key) for key in kept},
        "status": result.status.value,
        "details": dict(result.details),
        "measurements": [
            [one.name, one.value, one.unit, one.attributes, one.status.value, one.label] for one in result.measurements
        ],
        "log": list(result.log),
    }


def _result_from(name: str, data: Mapping[str, Any] | None) -> CheckResult | None:
    if data is None:
        return None
    measurements = tuple(
        Measurement(key, float(value), unit, tuple((str(a), str(b)) for a, b in attributes), Status(status), *label)
        for key, value, unit, attributes, status, *label in data["measurements"]
    )
    return CheckResult(
        Status(data["status"]),
        str(data["message"]),
        data["error_type"],
        measurements,
        dict(data["details"]),
        name,
        float(data["started"]),
        float(data["duration"]),
        int(data["attempts"]),
        str(data["trace_id"]),
        str(data["span_id"]),
        tuple(map(str, data.get("log", ()))),
    )
