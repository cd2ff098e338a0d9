"""Metrics to OTLP requests of bounded size, in slices so short that the event loop beside it does not notice."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from otelhealth.telemetry.metric import Metric
from otelhealth.telemetry.series import Table
from otelhealth.telemetry.wire import Envelope, integer, message, text

MAX_BYTES = 2_000_000
MAX_POINTS = 5_000
_WORK = _REST = 0.0005  # s
_DATA_FIELD = {"gauge": 5, "counter": 7, "updowncounter": 7, "histogram": 9}
_CUMULATIVE = integer(2, 2)
_TRAILER = {
    "gauge": b"",
    "counter": _CUMULATIVE + integer(3, 1),
    "updowncounter": _CUMULATIVE,
    "histogram": _CUMULATIVE,
}


class _Pace:
    """Gives the interpreter back after each slice: a computing thread holds up every wake-up of the loop for 5 ms."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + _WORK

    def breathe(self) -> None:
        if time.perf_counter() > self._until:
            time.sleep(_REST)
            self._until = time.perf_counter() + _WORK


def encode(tables: Iterable[Table], envelope: Envelope, now: int) -> Iterator[tuple[bytes, int]]:
    """(request, its number of points) until all live series are out; `now` in ns since the epoch."""
    pace = _Pace()
    metrics: list[bytes] = []
    size = count = 0
    for table in tables:
        for encoded, points in _chunks(table, now, pace):
            if metrics and (size + len(encoded) > MAX_BYTES or count + points > MAX_POINTS):
                yield envelope.request(metrics), count
                metrics, size, count = [], 0, 0
            metrics.append(encoded)
            size += len(encoded)
            count += points
    if metrics:
        yield envelope.request(metrics), count


def _chunks(table: Table, now: int, pace: _Pace) -> Iterator[tuple[bytes, int]]:
    """One metric in messages of at most half a request."""
    points = _ends(table, now)
    size = 0
    for index, series in enumerate(list(table.series.values())):
        if index & 15 == 15:
            pace.breathe()
        if not series.live:
            continue
        point = series.encode(now)
        points.append(point)
        size += len(point)
        if size > MAX_BYTES // 2 or len(points) >= MAX_POINTS // 2:
            yield _metric(table.metric, points), len(points)
            points, size = [], 0
    if points:
        yield _metric(table.metric, points), len(points)


def _ends(table: Table, now: int) -> list[bytes]:
    """What says of series that ended since the last export that they did."""
    points = []
    while table.ended:
        series = table.ended.popleft()
        if series.attributes not in table.series:  # else it began anew
            points.append(series.encode_end(now))
    return points


def _metric(metric: Metric, points: list[bytes]) -> bytes:
    data = b"".join(points) + _TRAILER[metric.instrument]
    head = text(1, metric.name) + text(2, metric.description) + text(3, metric.unit)
    return message(2, head + message(_DATA_FIELD[metric.instrument], data))
