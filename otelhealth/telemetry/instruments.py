"""The agent's own metrics: what happens is recorded here by the event loop, what leaves is read by the export thread.

Each check has its series bound once; `forget` removes them all, so a check that is gone is gone from the export too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from otelhealth.checks.base import Check, Quantity
from otelhealth.clock import Clock
from otelhealth.model import (
    Attributes,
    CheckResult,
    Measurement,
    MetricFamily,
    MetricPoint,
    ServiceStatus,
    StateChange,
    Status,
)
from otelhealth.telemetry import names
from otelhealth.telemetry.names import Metric
from otelhealth.telemetry.series import Buckets, Number, Owner, Series, Table, finite

_log = logging.getLogger(__name__)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_./-]{0,200}")
Lane = Literal["fast", "slow", "thread"]


class Bound(Owner):
    """The series of one check."""

    __slots__ = (
        "check",
        "durations",
        "last_run",
        "last_success",
        "named",
        "quantities",
        "readings",
        "refused",
        "state",
        "states",
        "transitions",
    )

    def __init__(self, check: Check) -> None:
        super().__init__()
        self.check = check
        self.named: Attributes = ((names.CHECK_NAME, check.name), (names.CHECK_KIND, check.kind))
        self.quantities: Mapping[str, Quantity] = {quantity.name: quantity for quantity in check.quantities}
        self.durations: dict[tuple[Status, str | None], Buckets] = {}
        self.states: dict[Status, Number] = {}
        self.transitions: list[Number] = []
        self.readings: dict[tuple[str, Attributes], Series] = {}
        self.last_run: Number | None = None
        self.last_success: Number | None = None
        self.state = Status.UNKNOWN
        self.refused: set[object] = set()

    def size(self) -> int:
        return len(self.durations) + len(self.readings) + len(self.transitions)

    def series(self) -> Iterator[Series]:
        yield from self.durations.values()
        yield from self.states.values()
        yield from self.transitions
        yield from self.readings.values()
        yield from (series for series in (self.last_run, self.last_success) if series is not None)


class Instruments:
    """Records what the agent sees. All methods but `families` and `tables` belong to the event loop's thread."""

    def __init__(self, clock: Clock, *, exemplars: bool = True, limit: int = 1_000) -> None:
        self._clock = clock
        self._exemplars = exemplars
        self._limit = limit
        self._tables = {metric.name: Table(metric) for metric in names.METRICS}
        self._bound: dict[str, Bound] = {}
        self.refusals: dict[str, str] = {}  # check -> why some of its series are not kept
        self._prepare()

    def _prepare(self) -> None:
        """Series that exist from the start, so that a first event is an increase from 0."""
        now = self._clock.time()
        for lane in ("fast", "slow", "thread"):
            self._number(names.RUNNING, ((names.LANE, lane),), now)
        for outcome in ("accepted", "refused"):
            self._number(names.RELOADS, ((names.OUTCOME, outcome),), now)
        self._number(names.THREADS_BLOCKED, (), now)

    # -- a check's life ------------------------------------------------------------------------------------------

    def add(self, check: Check, state: Status = Status.UNKNOWN) -> None:
        """Bind the series of a check, or bind them anew after a reload; `state` is its debounced state so far."""
        if check.name in self._bound:
            self.forget(check.name)
        self._bind(check, state)

    def _bind(self, check: Check, state: Status) -> Bound:
        bound = self._bound[check.name] = Bound(check)
        now = self._clock.time()
        for each in Status:
            attributes = (*bound.named, (names.CHECK_STATE, each.value))
            bound.states[each] = self._number(names.STATUS, attributes, now)
        self._set_state(bound, state)
        return bound

    def forget(self, name: str) -> None:
        """Remove all series of a check."""
        self.refusals.pop(name, None)
        bound = self._bound.pop(name, None)
        for series in bound.series() if bound else ():
            if isinstance(series, Buckets) or series.owner is None or series.owner is bound:
                series.table.drop(series)

    def record(self, check: Check, result: CheckResult, state: Status) -> None:
        """One finished run: its duration (with the run as exemplar), its measurements, and the debounced `state`."""
        bound = self._bound.get(check.name) or self._bind(check, state)
        now = self._clock.time()
        key = (result.status, None if result.status is Status.PASS else result.error_type)
        histogram = bound.durations.get(key) or self._duration(bound, key, now)
        if histogram is not None:
            self._observe(histogram, result.duration, result, now)
        self._mark_times(bound, result, now)
        if state is not bound.state:
            self._set_state(bound, state)
        bound.stamp += 1
        for measurement in result.measurements:
            self._measure(bound, measurement, result, now)
        if len(bound.readings) > 2 * len(result.measurements) + 16:
            self._sweep(bound)

    def transition(self, change: StateChange) -> None:
        """A check's state moved, by a run or because it went stale."""
        bound = self._bound.get(change.name)
        if bound is None:
            return
        attributes = (
            bound.named[0],
            (names.CHECK_STATE, change.status.value),
            (names.CHECK_PREVIOUS_STATE, change.previous.value),
        )
        series = self._number(names.TRANSITIONS, attributes, self._clock.time())
        if series not in bound.transitions:
            bound.transitions.append(series)
        series.value += 1
        self._set_state(bound, change.status)

    # -- the agent -----------------------------------------------------------------------------------------------

    def service(self, status: ServiceStatus, score: float) -> None:
        """The service's state, and its score from 0 to 100 (it leaves as a ratio)."""
        now = self._clock.time()
        for each in ServiceStatus:
            self._number(names.SERVICE_STATUS, ((names.SERVICE_STATE, each.value),), now).value = float(each is status)
        self._number(names.SERVICE_SCORE, (), now).value = score / 100

    def scheduler_lag(self, lane: Lane, seconds: float) -> None:
        self._buckets(names.LAG, ((names.LANE, lane),)).record(seconds)

    def running(self, lane: Lane, count: int) -> None:
        """How many checks run now in `lane`."""
        self._number(names.RUNNING, ((names.LANE, lane),), self._clock.time()).value = count

    def skipped(self, reason: str) -> None:
        """A run that was due did not start; `reason` is one of a closed set, such as `still_running`."""
        self._number(names.SKIPPED, ((names.REASON, reason),), self._clock.time()).value += 1

    def threads_blocked(self, count: int) -> None:
        self._number(names.THREADS_BLOCKED, (), self._clock.time()).value = count

    def loop_lag(self, seconds: float) -> None:
        self._buckets(names.LOOP_LAG, ()).record(seconds)

    def config_reload(self, outcome: Literal["accepted", "refused"]) -> None:
        self._number(names.RELOADS, ((names.OUTCOME, outcome),), self._clock.time()).value += 1

    def count(self, metric: Metric, attributes: Attributes, amount: float) -> None:
        """Add to a counter of the agent's own, from any thread that is alone to write it."""
        self._number(metric, attributes, self._clock.time()).value += amount

    def set(self, metric: Metric, attributes: Attributes, value: float) -> None:
        """Set a figure of the agent's own."""
        self._number(metric, attributes, self._clock.time()).value = value

    # -- reading -------------------------------------------------------------------------------------------------

    def tables(self) -> list[Table]:
        return list(self._tables.values())

    def families(self) -> Iterator[MetricFamily]:
        """All current series, as `/metrics` renders them."""
        for table in self.tables():
            points = [MetricPoint(series.attributes, series.current()) for series in table.live()]
            if points:
                metric = table.metric
                yield MetricFamily(metric.name, metric.unit, metric.instrument, metric.description, points)

    # -- inside --------------------------------------------------------------------------------------------------

    def _number(self, metric: Metric, attributes: Attributes, now: float) -> Number:
        return self._tables[metric.name].number(attributes, now)

    def _buckets(self, metric: Metric, attributes: Attributes) -> Buckets:
        return self._tables[metric.name].buckets(attributes, self._clock.time())

    def _set_state(self, bound: Bound, state: Status) -> None:
        bound.states[bound.state].value = 0.0
        bound.states[state].value = 1.0
        bound.state = state

    def _mark_times(self, bound: Bound, result: CheckResult, now: float) -> None:
        if bound.last_run is None:
            bound.last_run = self._number(names.LAST_RUN, bound.named[:1], now)
        bound.last_run.value = now
        if result.status in (Status.PASS, Status.WARN):
            if bound.last_success is None:
                bound.last_success = self._number(names.LAST_SUCCESS, bound.named[:1], now)
            bound.last_success.value = now

    def _duration(self, bound: Bound, key: tuple[Status, str | None], now: float) -> Buckets | None:
        if not self._has_room(bound):
            return None
        attributes: Attributes = (*bound.named, (names.CHECK_RESULT, key[0].value))
        if key[1]:
            attributes = (*attributes, (names.ERROR_TYPE, key[1]))
        series = bound.durations[key] = self._tables[names.CHECK_DURATION].buckets(attributes, now)
        return series

    def _observe(self, histogram: Buckets, value: float, result: CheckResult, now: float) -> None:
        index = histogram.record(value)
        if self._exemplars and result.trace_id:
            histogram.exemplify(index, value, now, result.trace_id, result.span_id)

    def _measure(self, bound: Bound, measurement: Measurement, result: CheckResult, now: float) -> None:
        if not finite(measurement.value):
            return
        key = (measurement.name, measurement.attributes)
        series = bound.readings.get(key) or self._reading(bound, measurement, now)
        if isinstance(series, Number):
            series.read(measurement.value, bound, now)
        elif series is not None:
            self._observe(series, measurement.value, result, now)

    def _reading(self, bound: Bound, measurement: Measurement, now: float) -> Series | None:
        key = (measurement.name, measurement.attributes)
        if not self._has_room(bound):
            return None
        quantity = bound.quantities.get(measurement.name) or _undeclared(bound.check.kind, measurement)
        table = self._table(bound, quantity)
        if table is None:
            return None
        attributes = tuple(pair for pair in measurement.attributes if pair[0] in quantity.attributes)
        if quantity.per_check:
            attributes = (*bound.named[:1], *attributes)
        make = table.buckets if quantity.instrument == "histogram" else table.number
        series = bound.readings[key] = make(attributes, now)
        if isinstance(series, Number) and series.owner is None:
            series.value = measurement.value
        return series

    def _table(self, bound: Bound, quantity: Quantity) -> Table | None:
        found = self._tables.get(quantity.metric)
        if found is None and _NAME.fullmatch(quantity.metric):
            metric = metric_of(quantity)
            found = self._tables[metric.name] = Table(metric)
        if found is None or (found.metric.unit, found.metric.instrument) != (quantity.unit, quantity.instrument):
            told = f"is a {found.metric.instrument} in {found.metric.unit!r} already" if found else "is no metric name"
            self._refuse(bound, quantity.metric, f"its measurement {quantity.name!r}: {quantity.metric!r} {told}")
            return None
        return found

    def _has_room(self, bound: Bound) -> bool:
        if bound.size() < self._limit:
            return True
        self._refuse(bound, "limit", f"series beyond {self._limit} (telemetry.metrics.cardinality_limit)")
        return False

    def _refuse(self, bound: Bound, what: object, sentence: str) -> None:
        if what not in bound.refused:
            bound.refused.add(what)
            self.refusals[bound.check.name] = f"not exported: {sentence}"
            _log.error("check %s: not exported: %s", bound.check.name, sentence)

    def _sweep(self, bound: Bound) -> None:
        """Let go of the readings that runs no longer give."""
        for key, series in list(bound.readings.items()):
            if isinstance(series, Number) and series.owner is bound and not series.live:
                series.table.drop(series)
                del bound.readings[key]


def metric_of(quantity: Quantity) -> Metric:
    """The metric that a kind's quantity leaves as."""
    attributes = (names.CHECK_NAME, *quantity.attributes) if quantity.per_check else quantity.attributes
    return Metric(
        quantity.metric, quantity.unit, quantity.instrument, quantity.description, attributes, "each run that reads it"
    )


def _undeclared(kind: str, measurement: Measurement) -> Quantity:
    """What a user's own query or function measures: a gauge of its kind."""
    keys = tuple(key for key, _ in measurement.attributes)
    name = measurement.name
    return Quantity(
        name, measurement.unit, "gauge", "A measurement of the user's own.", f"otelhealth.{kind}.{name}", keys
    )


def all_points(tables: Iterable[Table]) -> int:
    """How many series there are."""
    return sum(len(table.series) for table in tables)
