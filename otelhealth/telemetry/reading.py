"""Reads the durations of requests out of OTLP requests in protobuf; what is read is never altered.

Of traces and logs nothing is read: only whether they are OTLP at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress

from otelhealth.telemetry.distribution import Distribution, Explicit, Exponential
from otelhealth.telemetry.fields import Data, Message, TooLongError, Walk
from otelhealth.telemetry.point import (
    CUMULATIVE,
    NAMES,
    NO_VALUE,
    TEMPORALITIES,
    WANTED,
    Named,
    Point,
    Value,
    seconds_of,
    series_of,
)

_STEPS = 100_000  # fields that are looked at in one request: some tenths of a second
_EXPLICIT, _EXPONENTIAL = 9, 10  # of Metric


def check(body: bytes) -> None:
    """Raises ValueError where the body is no OTLP request of any signal; looks no deeper than its resources."""
    walk = Walk(_STEPS)
    with suppress(TooLongError):  # sound so far
        for resource in walk.messages(memoryview(body), 1):
            for _ in walk.fields(resource):
                pass


def read(body: bytes) -> list[Named]:
    """The points of request durations in a request for metrics; ValueError where it is none."""
    reading = _Reading()
    found: list[Named] = []
    with suppress(TooLongError):  # more than a service tells of its requests
        for resource in reading.walk.messages(memoryview(body), 1):
            found.extend(reading.resource(resource))
    return found


class _Reading:
    """Of one request. Points repeat each other's attributes: each is decoded once."""

    def __init__(self) -> None:
        self.walk = Walk(_STEPS)
        self._pairs: dict[bytes, tuple[str, Value] | None] = {}

    def resource(self, resource: Data) -> Iterator[Named]:
        about = [_joined(self.walk.messages(each, 1)) for each in self.walk.messages(resource, 1)]
        for scope in self.walk.messages(resource, 2):
            within = [*about, *map(bytes, self.walk.messages(scope, 1))]
            for metric in self.walk.messages(scope, 2):
                yield from self._metric(Message(self.walk, metric), within)

    def _metric(self, metric: Message, within: list[bytes]) -> Iterator[Named]:
        name = metric.text(1)
        unit = seconds_of(name, metric.text(3)) if name in NAMES else None
        shape = _EXPLICIT if _EXPLICIT in metric else _EXPONENTIAL
        if unit is None:
            return
        data = Message(self.walk, metric.message(shape))
        if (temporality := data.integer(2)) not in TEMPORALITIES:
            return
        for each in data.messages(1):
            point = Message(self.walk, bytes(each))
            pairs = list(map(bytes, point.messages(9 if shape == _EXPLICIT else 1)))
            if not point.integer(10) & NO_VALUE:
                series = series_of(*within, name.encode(), _joined(pairs))
                durations = _explicit(point, unit) if shape == _EXPLICIT else self._exponential(point, unit)
                times = point.fixed64(2), point.fixed64(3)
                yield name, Point(series, temporality == CUMULATIVE, *times, self._attributes(pairs), durations)

    def _exponential(self, point: Message, unit: float) -> Distribution:
        positive = Message(self.walk, point.message(8))
        buckets = Exponential(point.sint32(6), point.fixed64(7), positive.sint32(1), positive.integers(2), unit)
        return _durations(point, unit, buckets, 12)

    def _attributes(self, pairs: Iterable[bytes]) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for pair in pairs:
            if pair not in self._pairs:
                self._pairs[pair] = self._pair(pair)
            if known := self._pairs[pair]:
                found[known[0]] = known[1]
        return found

    def _pair(self, pair: bytes) -> tuple[str, Value] | None:
        told = Message(self.walk, pair)
        key = told.text(1)
        if key not in WANTED:
            return None
        value = Message(self.walk, told.message(2))
        return key, value.int64(3) if 3 in value else value.text(1)


def _explicit(point: Message, unit: float) -> Distribution:
    bounds = tuple(bound * unit for bound in point.doubles(7))
    return _durations(point, unit, Explicit(bounds, point.fixed64s(6)), 11)


def _durations(point: Message, unit: float, buckets: Explicit | Exponential, least: int) -> Distribution:
    """`least` is the field of the smallest, before that of the greatest."""
    total, low, high = point.double(5), point.double(least), point.double(least + 1)
    return Distribution(
        point.fixed64(4),
        None if total is None else total * unit,
        buckets,
        0.0 if low is None else low * unit,
        math.inf if high is None else high * unit,
    )


def _joined(attributes: Iterable[Data]) -> bytes:
    """A sender may give them in any order."""
    return b"".join(sorted(map(bytes, attributes)))
