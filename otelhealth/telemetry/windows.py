"""The performance figures: durations of the last 15 minutes in slots of 10 s, counts of the last 24 h by 5 minutes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

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
        self._lock = threading.Lock()

    def add(self, source: str, duration: float, failed: bool) -> None:
        """One request of `duration` seconds, ended now."""
        self.merge(source, ((duration, 1),), int(failed))

    def merge(self, source: str, parts: Iterable[tuple[float, int]], failed: int, total: float | None = None) -> None:
        """Requests that ended just now as (seconds, how many), `failed` of them failed; together they took `total`
        seconds, where that is known better than from the parts."""
        with self._lock:
            window = self._windows.get(source) or self._windows.setdefault(source, _Window())
            window.add(self._clock.time(), parts, failed, total)

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
        with self._lock:
            for source, spans in snapshot.items():
                window = self._windows.setdefault(source, _Window())
                for number, requests, failed in spans:
                    span = window.spans.setdefault(number, [0, 0])
                    span[0] += requests
                    span[1] += failed
                window.roll(self._clock.time())
