"""The requests of an application that sends its OTLP here: from the points it tells to the windows of `performance`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from otelhealth.clock import Clock
from otelhealth.telemetry.distribution import Distribution
from otelhealth.telemetry.point import OLD, STABLE, Named, Point, failed, is_probe
from otelhealth.telemetry.windows import APPLICATION, Windows
from otelhealth.telemetry.wire import NANO

_ROOM = 500_000  # numbers that are remembered of cumulative series: 4 MB, some 25,000 series of the usual buckets
_MOST = 10**9  # requests that are believed to have come since the last point


class _Series:
    __slots__ = ("durations", "start", "time")

    def __init__(self, point: Point) -> None:
        self.start = point.start
        self.time = point.time
        self.durations = point.durations.kept()

    @property
    def size(self) -> int:
        return len(self.durations.buckets.counts) + 8


class Requests:
    """Fed by one thread. Of a cumulative series its last value is remembered, of all else nothing."""

    def __init__(self, windows: Windows, clock: Clock) -> None:
        self._windows = windows
        self._since = clock.time() * NANO
        self._last: OrderedDict[bytes, _Series] = OrderedDict()  # the one not seen for longest first
        self._size = 0

    def take(self, told: Iterable[Named]) -> None:
        """The points of one OTLP request."""
        found = list(told)
        stable = any(name == STABLE for name, _ in found)  # a service may tell each request in both conventions
        together: dict[object, tuple[Distribution, bool]] = {}
        for number, (name, point) in enumerate(found):
            if is_probe(point.attributes) or (stable and name == OLD) or not point.durations.believable:
                continue
            fresh = self._fresh(point) if point.cumulative else point.durations
            if fresh is not None:
                errors = failed(point.attributes)
                key = (fresh.layout or number, errors)
                before = together.get(key)
                together[key] = (before[0].plus(fresh) if before else fresh, errors)
        for durations, errors in together.values():
            self._add(durations, errors)

    def _add(self, durations: Distribution, errors: bool) -> None:
        parts = durations.parts()
        requests = sum(count for _, count in parts)
        if 0 < requests <= _MOST:
            self._windows.merge(APPLICATION, parts, requests if errors else 0, durations.sum)

    def _fresh(self, point: Point) -> Distribution | None:
        """What a cumulative series has not told before; None where that cannot be known."""
        known = self._last.get(point.series)
        if known is not None and point.time <= known.time:
            return None  # told before, or late
        self._remember(point, known)
        if known is None:
            return point.durations if point.start >= self._since else None
        if point.start > known.start or point.durations.requests < known.durations.requests:
            return point.durations  # it counts anew
        return point.durations.since(known.durations)

    def _remember(self, point: Point, known: _Series | None) -> None:
        series = self._last[point.series] = _Series(point)
        self._last.move_to_end(point.series)
        self._size += series.size - (known.size if known else 0)
        while self._size > _ROOM:
            self._size -= self._last.popitem(last=False)[1].size
