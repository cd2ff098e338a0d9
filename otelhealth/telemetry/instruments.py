"""The agent's own metrics: what happens is recorded here by the event loop, what leaves is read by the export thread.

Each check has its series bound once; `forget` removes them all, so a check that is gone is gone from the export too.
"""

from __future__ import annotations

import logging
import math

from otelhealth.checks.base import Check, Quantity
from otelhealth.clock import Clock
from otelhealth.model import GOOD, Attributes, CheckResult, Measurement, StateChange, Status
from otelhealth.telemetry import names
from otelhealth.telemetry.bound import Bound, metric_of, undeclared
from otelhealth.telemetry.figures import Figures
from otelhealth.telemetry.series import Buckets, Number, Series, Table

_log = logging.getLogger(__name__)


class Instruments(Figures):
    """Records what the agent sees. All but `families` and `tables` belongs to the event loop's thread."""

    def __init__(self, clock: Clock, *, exemplars: bool = True, limit: int = 1_000) -> None:
        super().__init__(clock)
        self._exemplars = exemplars
        self._limit = limit
        self._bound: dict[str, Bound] = {}
        self.refusals: dict[str, str] = {}  # check -> why some of its series are not kept

    def add(self, check: Check, state: Status = Status.UNKNOWN) -> None:
        """Bind the series of a check; `state` is its debounced state so far.

        A check that a reload changed goes on with the series it has, unless its kind is another.
        """
        bound = self._bound.get(check.name)
        if bound is not None and type(bound.check) is type(check):
            bound.check = check
            self._set_state(bound, state)
            return
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
        if bound:
            bound.readings.clear()  # they know their owner: a ring that only the garbage collector would open

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
            if measurement.name not in bound.silent:
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

    def _set_state(self, bound: Bound, state: Status) -> None:
        bound.states[bound.state].value = 0.0
        bound.states[state].value = 1.0
        bound.state = state

    def _mark_times(self, bound: Bound, result: CheckResult, now: float) -> None:
        if bound.last_run is None:
            bound.last_run = self._number(names.LAST_RUN, bound.named[:1], now)
        bound.last_run.value = now
        if result.status in GOOD:
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
        if not math.isfinite(measurement.value):  # it would say nothing to a receiver
            return
        series = bound.readings.get((measurement.name, measurement.attributes))
        if series is None:
            series = self._reading(bound, measurement, now)
        if isinstance(series, Number):
            series.read(measurement.value, bound, now)
        elif series is not None:
            self._observe(series, measurement.value, result, now)

    def _reading(self, bound: Bound, measurement: Measurement, now: float) -> Series | None:
        quantity = bound.quantities.get(measurement.name) or undeclared(bound.check.kind, measurement)
        if not quantity.metric or not self._has_room(bound):
            return None
        table = self._table(bound, quantity)
        if table is None:
            return None
        attributes = tuple(pair for pair in measurement.attributes if pair[0] in quantity.attributes)
        if quantity.per_check:
            attributes = (*bound.named[:1], *attributes)
        make = table.buckets if quantity.instrument == "histogram" else table.number
        series = bound.readings[measurement.name, measurement.attributes] = make(attributes, now)
        if isinstance(series, Number) and series.owner is None:
            series.value = measurement.value
        return series

    def _table(self, bound: Bound, quantity: Quantity) -> Table | None:
        found = self._tables.get(quantity.metric)
        if found is None:
            metric = metric_of(quantity)
            found = self._tables[metric.name] = Table(metric)
        if (found.metric.unit, found.metric.instrument) != (quantity.unit, quantity.instrument):
            told = f"{quantity.metric} is a {found.metric.instrument} in {found.metric.unit!r} already"
            self._refuse(bound, quantity.metric, f"its measurement {quantity.name!r}: {told}")
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
