"""The series of one check, and the metric that a measurement leaves as."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache

from otelhealth.checks.base import Check, Quantity
from otelhealth.model import Attributes, Measurement, Status
from otelhealth.telemetry import names
from otelhealth.telemetry.metric import Metric
from otelhealth.telemetry.series import Buckets, Number, Owner, Series

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_.-]+")


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
        "silent",
        "state",
        "states",
        "transitions",
    )

    def __init__(self, check: Check) -> None:
        super().__init__()
        self.check = check
        self.named: Attributes = ((names.CHECK_NAME, check.name), (names.CHECK_KIND, check.kind))
        self.quantities = _declared(type(check))
        self.silent = _silent(type(check))
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


@cache
def _declared(check: type[Check]) -> Mapping[str, Quantity]:
    return {quantity.name: quantity for quantity in check.quantities}


@cache
def _silent(check: type[Check]) -> frozenset[str]:
    """Measurements that stay in the record."""
    return frozenset(quantity.name for quantity in check.quantities if not quantity.metric)


def metric_of(quantity: Quantity) -> Metric:
    """The metric that a kind's quantity leaves as."""
    attributes = (names.CHECK_NAME, *quantity.attributes) if quantity.per_check else quantity.attributes
    return Metric(
        quantity.metric, quantity.unit, quantity.instrument, quantity.description, attributes, "each run that reads it"
    )


def undeclared(kind: str, measurement: Measurement) -> Quantity:
    """What a user's own query or function measures: a gauge of its kind."""
    keys = tuple(key for key, _ in measurement.attributes)
    metric = f"otelhealth.{kind}.{_NOT_IN_A_NAME.sub('_', measurement.name)}"[:255]
    return Quantity(measurement.name, measurement.unit, "gauge", "A measurement of the user's own.", metric, keys)
