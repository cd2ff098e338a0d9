"""The performance figures: durations of the last 15 minutes in slots of 10 s, counts of the last 24 h by 5 minutes."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from otelhealth.clock import Clock
from otelhealth.records import ErrorRates, ResponseTimes
from otelhealth.telemetry.histogram import Histogram, bucket

APPLICATION = "application"
HTTP_CHECKS = "http checks"
SOURCES = (APPLICATION, HTTP_CHECKS)  # whose figures stand for the service, the best first
SLOT = 10  # seconds
SLOTS = 90
SPAN = 300  # seconds
SPANS = 288
Snapshot = dict[str, list[tuple[int, int, int]]]  # source -> (span, requests, failed)


class Part(NamedTuple):
    """Requests of one source that ended in one slot: what processes of one service tell each other."""

    source: str
    slot: int
    failed: int
    seconds: float  # that they took together
    buckets: Mapping[int, int]


class Count(NamedTuple):
    """Requests of one source that ended in one span."""

    source: str
    span: int
    requests: int
    failed: int


class _Slot:
    __slots__ = ("failed", "histogram")

    def __init__(self) -> None:
        self.histogram = Histogram()
        self.failed = 0


class _Window:
    """Of one source. `total` is always the sum of the slots, so that reading costs no merging."""

    def __init__(self) -> None:
        self.slots: dict[int, _Slot] = {}
        self.spans: dict[int, list[int]] = {}
        self.total = Histogram()

    def add(self, now: float, parts: Iterable[tuple[float, int]], failed: int, total: float | None) -> None:
        number = int(now // SLOT)
        slot = self.slots.get(number)
        if slot is None:
            self.roll(now)
            slot = self.slots[number] = _Slot()
        span = self.spans.setdefault(int(now // SPAN), [0, 0])
        estimated = 0.0
        for value, count in parts:
            index = bucket(value)
            slot.histogram.add(index, value, count)
            self.total.add(index, value, count)
            span[0] += count
            estimated += value * count
        if total is not None:
            slot.histogram.sum += total - estimated
            self.total.sum += total - estimated
        slot.failed += failed
        span[1] += failed

    def include(self, part: Part) -> None:
        slot = self.slots.get(part.slot) or self.slots.setdefault(part.slot, _Slot())
        slot.histogram.include(part.buckets, part.seconds)
        slot.failed += part.failed
        self.total.include(part.buckets, part.seconds)

    def count(self, number: int, requests: int, failed: int) -> None:
        span = self.spans.setdefault(number, [0, 0])
        span[0] += requests
        span[1] += failed

    def roll(self, now: float) -> None:
        """Let go of what is older than its window, or in the future of a clock that was set back."""
        newest = int(now // SLOT)
        for number in [number for number in self.slots if not newest - SLOTS < number <= newest]:
            self.total.remove(self.slots.pop(number).histogram)
        last = int(now // SPAN)
        for number in [number for number in self.spans if not last - SPANS < number <= last]:
            del self.spans[number]

    def rate(self, now: float, minutes: int) -> float:
        """Percent of the requests of the last `minutes` that failed; 0.0 without requests."""
        oldest = int(now // SLOT) - minutes * 60 // SLOT
        chosen = [slot for number, slot in self.slots.items() if number > oldest]
        requests = sum(slot.histogram.count for slot in chosen)
        return 100.0 * sum(slot.failed for slot in chosen) / requests if requests else 0.0


class Windows:
    """Fed by the application's own metrics (reader.py) and by HTTP checks; from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[str, _Window] = {}
        self._own: dict[str, _Window] | None = None  # of all that what came in here, once it is shared
        self._fresh: dict[str, _Window] = {}  # and of that what came in since the last `take`
        self._lock = threading.Lock()

    def add(self, source: str, duration: float, failed: bool) -> None:
        """One request of `duration` seconds, ended now."""
        self.merge(source, ((duration, 1),), int(failed))

    def merge(self, source: str, parts: Iterable[tuple[float, int]], failed: int, total: float | None = None) -> None:
        """Requests that ended just now as (seconds, how many), `failed` of them failed; together they took `total`
        seconds, where that is known better than from the parts."""
        now, told = self._clock.time(), list(parts)
        with self._lock:
            for windows in self._here():
                _of(windows, source).add(now, told, failed, total)

    def performance(self, now: float) -> tuple[ResponseTimes, ErrorRates, int, str | None]:
        """Figures of the best source that has requests in the 15 minutes before `now` (Unix seconds): times, rates,
        number of requests, source. All 0 and None where no source has any."""
        with self._lock:
            source, window = self._chosen(now)
            p50, p95, p99 = window.total.quantiles((0.5, 0.95, 0.99))
            times = ResponseTimes(
                p50_ms=p50 * 1000, p95_ms=p95 * 1000, p99_ms=p99 * 1000, average_ms=window.total.average * 1000
            )
            rates = ErrorRates(
                rate_1min=window.rate(now, 1),
                rate_5min=window.rate(now, 5),
                rate_15min=window.rate(now, 15),
                total_errors_24h=sum(failed for _, failed in window.spans.values()),
            )
            return times, rates, window.total.count, source

    def _chosen(self, now: float) -> tuple[str | None, _Window]:
        ordered = [source for source in SOURCES if source in self._windows]
        for source in ordered:
            self._windows[source].roll(now)
            if self._windows[source].total.count:
                return source, self._windows[source]
        # nothing lately, but the day's errors are still told
        return None, next((self._windows[source] for source in ordered if self._windows[source].spans), _Window())

    def snapshot(self) -> Snapshot:
        """The counts of the last 24 h, as plain values for the store."""
        with self._lock:
            return {
                source: [(number, requests, failed) for number, (requests, failed) in sorted(window.spans.items())]
                for source, window in self._windows.items()
            }

    def restore(self, snapshot: Mapping[str, Iterable[Iterable[int]]]) -> None:
        """Take up the counts of an earlier process."""
        counts = [Count(source, *span) for source, spans in snapshot.items() for span in spans]
        with self._lock:
            for windows in self._here():
                _count(windows, counts)
                for window in windows.values():
                    window.roll(self._clock.time())

    def share(self) -> None:
        """Tell others what comes in here: all that is there now, and from now on.

        Once more, it is told from the beginning, and what others told is forgotten.
        """
        with self._lock:
            if self._own is None:
                self._own = copy.deepcopy(self._windows)
            else:
                self._windows = copy.deepcopy(self._own)
            self._fresh = copy.deepcopy(self._own)

    def take(self) -> tuple[list[Part], list[Count]]:
        """What is to be told to others, once; nothing before `share`."""
        with self._lock:
            fresh, self._fresh = self._fresh, {}
        parts = [
            Part(source, number, slot.failed, slot.histogram.sum, slot.histogram.buckets)
            for source, window in fresh.items()
            for number, slot in window.slots.items()
        ]
        spans = ((source, *item) for source, window in fresh.items() for item in window.spans.items())
        return parts, [Count(source, number, *span) for source, number, span in spans]

    def include(self, parts: Sequence[Part], counts: Sequence[Count] | None) -> None:
        """What others told: `parts` since the last time, and where they changed all the day's `counts` that anybody
        told, this one too."""
        now = self._clock.time()
        with self._lock:
            for part in parts:
                _of(self._windows, part.source).include(part)
            if counts is not None:
                for source, window in self._windows.items():
                    window.spans = copy.deepcopy(self._fresh[source].spans) if source in self._fresh else {}
                _count(self._windows, counts)
            for window in self._windows.values():
                window.roll(now)

    def _here(self) -> list[dict[str, _Window]]:
        """Where goes what comes in."""
        return [self._windows] if self._own is None else [self._windows, self._own, self._fresh]


def _of(windows: dict[str, _Window], source: str) -> _Window:
    return windows.get(source) or windows.setdefault(source, _Window())


def _count(windows: dict[str, _Window], counts: Iterable[Count]) -> None:
    for source, *count in counts:
        _of(windows, source).count(*count)
