"""Reads the durations of requests out of OTLP requests in JSON, as reading.py does in protobuf.

Item by item: megabytes decoded at once would keep every other thread, the event loop's too, from running.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from otelhealth.spool import SignalName
from otelhealth.telemetry.content import JSON_NAMES
from otelhealth.telemetry.distribution import Distribution, Explicit, Exponential
from otelhealth.telemetry.fields import TooLongError
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

_LEVELS = {signal: [name for (name,) in names[:3]] for signal, names in JSON_NAMES.items()}
_LOOKED_AT = 4 * 2**20  # bytes of one request: a single value of it may hold everything
_STEPS = 20_000  # members that are looked at in one request: a tenth of a second
_SPACE = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder().raw_decode


class _Part(BaseModel):
    """A message as JSON spells it: camelCase, null for what is not there, long numbers as text."""

    model_config = ConfigDict(extra="ignore", alias_generator=to_camel, defer_build=True)


class _Attribute(_Part):
    key: str | None = None
    value: dict[str, Any] | None = None


class _Positive(_Part):
    offset: int | None = None
    bucket_counts: list[int] | None = None


class _Point(_Part):
    """Of either kind of histogram."""

    attributes: list[_Attribute] | None = None
    start_time_unix_nano: int | None = None
    time_unix_nano: int | None = None
    flags: int | None = None
    count: int | None = None
    sum: float | None = None
    min: float | None = None
    max: float | None = None
    explicit_bounds: list[float] | None = None
    bucket_counts: list[int] | None = None
    scale: int | None = None
    zero_count: int | None = None
    positive: _Positive | None = None


class _Data(_Part):
    data_points: list[dict[str, Any]] | None = None  # validated one by one: there may be thousands
    aggregation_temporality: int | None = None


class _Metric(_Part):
    name: str
    unit: str | None = None
    histogram: _Data | None = None
    exponential_histogram: _Data | None = None


class _Attributed(_Part):
    """A resource, or a scope with its name."""

    name: str | None = None
    attributes: list[_Attribute] | None = None


def check_json(body: bytes, signal: SignalName) -> None:
    """Raises ValueError where the body is no OTLP request of that signal; one of many megabytes is not looked at."""
    for _ in _items(body, signal):
        pass


def read_json(body: bytes) -> list[Named]:
    """The points of request durations in a request for metrics; ValueError where it is none."""
    named = ((item, around) for item, around in _items(body, "metrics") if isinstance(item, dict))
    wanted = [found for found in named if found[0].get("name") in tuple(NAMES)]  # a list may stand there
    return list(islice((point for item, around in wanted for point in _of_metric(item, around)), _STEPS))


def _items(body: bytes, signal: SignalName) -> Iterator[tuple[Any, Sequence[Mapping[str, Any]]]]:
    if len(body) > _LOOKED_AT:
        return
    try:
        yield from _Text(body.decode()).items(_LEVELS[signal])
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except TooLongError:  # sound so far
        return


def _of_metric(item: Mapping[str, Any], around: Sequence[Mapping[str, Any]]) -> Iterator[Named]:
    metric = _Metric.model_validate(item)
    data = metric.histogram or metric.exponential_histogram
    unit = seconds_of(metric.name, metric.unit or "")
    if unit is None or data is None or data.aggregation_temporality not in TEMPORALITIES:
        return
    resource = _Attributed.model_validate(around[1].get("resource") or {})
    scope = _Attributed.model_validate(around[2].get("scope") or {})
    within = (_joined(resource.attributes), str(scope.name).encode(), _joined(scope.attributes), metric.name.encode())
    for each in data.data_points or ():
        point = _Point.model_validate(each)
        if not (point.flags or 0) & NO_VALUE:
            series = series_of(*within, _joined(point.attributes))
            times = point.start_time_unix_nano or 0, point.time_unix_nano or 0
            durations = _durations(point, unit, explicit=metric.histogram is not None)
            cumulative = data.aggregation_temporality == CUMULATIVE
            yield metric.name, Point(series, cumulative, *times, _wanted(point.attributes or ()), durations)


def _durations(point: _Point, unit: float, *, explicit: bool) -> Distribution:
    buckets: Explicit | Exponential
    if explicit:
        bounds = tuple(bound * unit for bound in point.explicit_bounds or ())
        buckets = Explicit(bounds, tuple(point.bucket_counts or ()))
    else:
        positive = point.positive or _Positive()
        counts = tuple(positive.bucket_counts or ())
        buckets = Exponential(point.scale or 0, point.zero_count or 0, positive.offset or 0, counts, unit)
    return Distribution(
        point.count or 0,
        None if point.sum is None else point.sum * unit,
        buckets,
        0.0 if point.min is None else point.min * unit,
        math.inf if point.max is None else point.max * unit,
    )


def _wanted(attributes: Iterable[_Attribute]) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for attribute in attributes:
        if attribute.key in WANTED:
            value = attribute.value or {}
            number = str(value.get("intValue", ""))
            found[attribute.key] = (
                int(number) if number.removeprefix("-").isdecimal() else str(value.get("stringValue", ""))
            )
    return found


def _joined(attributes: Iterable[_Attribute] | None) -> bytes:
    """A sender may give them in any order."""
    return "\n".join(sorted(json.dumps((each.key, each.value)) for each in attributes or ())).encode()


class _Text:
    """A JSON text, and how far it has been read."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._left = _STEPS

    def items(self, levels: Sequence[str]) -> Iterator[tuple[Any, Sequence[Mapping[str, Any]]]]:
        """Each item of the lists within lists that `levels` name, with the rest of each object around it so far."""
        yield from self._object(levels, ())
        self._skip()
        if self._at < len(self._text):
            raise ValueError(f"something follows the object, at character {self._at}")

    def _object(self, levels: Sequence[str], around: tuple[Mapping[str, Any], ...]) -> Iterator[Any]:
        rest: dict[str, Any] = {}
        for _ in self._each("{", "}"):
            if self._next() != '"':
                raise ValueError(f"there is no key at character {self._at}")
            key = self._value()
            self._take(":")
            if levels and key == levels[0] and self._next() != "n":  # null is as good as nothing
                for _ in self._each("[", "]"):
                    yield from self._item(levels[1:], (*around, rest))
            else:
                rest[key] = self._value()

    def _item(self, levels: Sequence[str], around: tuple[Mapping[str, Any], ...]) -> Iterator[Any]:
        if levels:
            yield from self._object(levels, around)
        else:
            yield self._value(), around

    def _each(self, first: str, last: str) -> Iterator[None]:
        """Once for each member of an object or a list, which the caller reads."""
        self._take(first)
        if self._next() == last:
            self._at += 1
            return
        while True:
            self._left -= 1
            if self._left < 0:
                raise TooLongError
            yield
            if self._next() == last:
                self._at += 1
                return
            self._take(",")

    def _value(self) -> Any:
        self._skip()
        value, self._at = _decode(self._text, self._at)
        return value

    def _take(self, wanted: str) -> None:
        if self._next() != wanted:
            raise ValueError(f"there is no {wanted} at character {self._at}")
        self._at += 1

    def _next(self) -> str:
        self._skip()
        return self._text[self._at : self._at + 1]

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at
