"""How far p50, p95 and p99 of `performance` over 15 minutes are off the exact ones, for both of its sources."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping

from opentelemetry.sdk.metrics import MeterProvider

from benchmarks.measure import Row, percentile, say
from otelhealth.clock import ManualClock
from otelhealth.records import ResponseTimes
from otelhealth.telemetry.point import STABLE
from otelhealth.telemetry.reader import WindowReader
from otelhealth.telemetry.windows import HTTP_CHECKS, SLOT, Windows

MINUTES, PER_SLOT = 15, 600
Draw = Callable[[random.Random], float]
Series = list[list[float]]  # seconds of each request, slot by slot

SHAPES: Mapping[str, Draw] = {
    "log-normal": lambda draw: draw.lognormvariate(-3.5, 0.8),
    "exponential": lambda draw: draw.expovariate(20.0),
    "cached or not": lambda draw: draw.gauss(0.8, 0.1) if draw.random() < 0.07 else draw.gauss(0.004, 0.0004),
    "heavy tail": lambda draw: 0.002 * draw.paretovariate(1.2),
}


def series(shape: Draw, slots: int) -> Series:
    draw = random.Random(7)
    return [[max(1e-4, shape(draw)) for _ in range(PER_SLOT)] for _ in range(slots)]


def of_checks(told: Series) -> ResponseTimes:
    """Each run counted when it ends."""
    clock = ManualClock()
    windows = Windows(clock)
    for slot in told:
        clock.advance(SLOT)
        for seconds in slot:
            windows.add(HTTP_CHECKS, seconds, False)
    return windows.performance(clock.time())[0]


def of_application(told: Series) -> ResponseTimes:
    """The application's own histogram, read every 10 s by a second reader of the SDK."""
    clock = ManualClock()
    windows = Windows(clock)
    reader = WindowReader(windows)
    provider = MeterProvider([reader], shutdown_on_exit=False)
    histogram = provider.get_meter("bench").create_histogram(STABLE, "s")
    for slot in told:
        clock.advance(SLOT)
        for seconds in slot:
            histogram.record(seconds, {"http.route": "/"})
        reader.collect()
    provider.shutdown()
    return windows.performance(clock.time())[0]


def furthest(seen: ResponseTimes, told: Series) -> float:
    """The greatest share by which one of the three is off."""
    exact = [seconds for slot in told for seconds in slot]
    wanted = {0.5: seen["p50_ms"], 0.95: seen["p95_ms"], 0.99: seen["p99_ms"]}
    return max(abs(value / 1e3 / percentile(exact, share) - 1) for share, value in wanted.items())


def run(quick: bool) -> Iterator[Row]:
    window = MINUTES * 60 // SLOT
    off = {}
    for source, measure in (("http checks", of_checks), ("application", of_application)):
        for name, shape in SHAPES.items():
            told = series(shape, 2 if quick else window + 6)  # a minute of it is too old to count
            off[source, name] = furthest(measure(told), told[-window:])
            say(f"{source}, {name}: {100 * off[source, name]:.2f} % off")
    worst = {source: max(share for (of, _), share in off.items() if of == source) for source, _ in off}
    yield Row(
        f"p50, p95, p99 of `performance` over {MINUTES} minutes, the furthest of {len(SHAPES)} distributions",
        "2 % off the exact value",
        "1 %",
        ", ".join(f"{source} {100 * share:.2f} %" for source, share in worst.items()),
        max(worst.values()) > 0.02,
    )
