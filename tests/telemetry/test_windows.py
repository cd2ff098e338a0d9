"""The performance figures against exact values."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.clock import ManualClock
from otelhealth.telemetry.histogram import Histogram, bucket, middle
from otelhealth.telemetry.windows import APPLICATION, HTTP_CHECKS, Count, Part, Windows

Draw = Callable[[random.Random], float]


def exact(values: list[float], share: float) -> float:
    """Nearest rank."""
    return sorted(values)[max(1, math.ceil(share * len(values))) - 1]


@given(st.floats(1e-6, 1e5))
def test_a_bucket_stands_for_its_durations_within_half_a_percent(value: float) -> None:
    assert middle(bucket(value)) == pytest.approx(value, rel=0.0051)


@pytest.mark.parametrize(
    "draw",
    [
        lambda dice: dice.lognormvariate(-4, 1),
        lambda dice: dice.uniform(0.001, 10),
        lambda dice: dice.choice((0.002, 0.002, 0.002, 3.0)) * dice.uniform(0.99, 1.01),
    ],
    ids=["lognormal", "uniform", "two peaks"],
)
def test_quantiles_over_15_minutes_are_within_one_percent(draw: Draw) -> None:
    clock, dice = ManualClock(), random.Random(7)
    windows = Windows(clock)
    values = []
    for second in range(880):
        for _ in range(5):
            values.append(draw(dice))
            windows.add(HTTP_CHECKS, values[-1], failed=False)
        clock.advance(second and 1)
    times, _, requests, source = windows.performance(clock.time())
    assert (requests, source) == (4_400, "http checks")
    assert times["p50_ms"] == pytest.approx(exact(values, 0.50) * 1000, rel=0.01)
    assert times["p95_ms"] == pytest.approx(exact(values, 0.95) * 1000, rel=0.01)
    assert times["p99_ms"] == pytest.approx(exact(values, 0.99) * 1000, rel=0.01)
    assert times["average_ms"] == pytest.approx(sum(values) / len(values) * 1000)


def test_without_requests_everything_is_0_and_of_no_source() -> None:
    times, rates, requests, source = Windows(ManualClock()).performance(1_700_000_000.0)
    assert set(times.values()) == {0.0}
    assert rates == {"rate_1min": 0.0, "rate_5min": 0.0, "rate_15min": 0.0, "total_errors_24h": 0}
    assert isinstance(rates["rate_1min"], float)
    assert (requests, source) == (0, None)


def test_rates_are_percent_of_their_window() -> None:
    clock = ManualClock()
    windows = Windows(clock)
    for minute in range(15):
        for number in range(10):
            windows.add(HTTP_CHECKS, 0.01, failed=minute >= 10 and number == 0)
        clock.advance(60)
    clock.advance(-1)
    _, rates, requests, _ = windows.performance(clock.time())
    assert requests == 150
    assert rates == {
        "rate_1min": 10.0,
        "rate_5min": 10.0,
        "rate_15min": pytest.approx(5 / 150 * 100),
        "total_errors_24h": 5,
    }


def test_what_is_older_than_15_minutes_is_gone_and_the_days_errors_stay() -> None:
    clock = ManualClock()
    windows = Windows(clock)
    windows.add(HTTP_CHECKS, 1.0, failed=True)
    clock.advance(901)
    times, rates, requests, source = windows.performance(clock.time())
    assert (times["p99_ms"], requests, source) == (0.0, 0, None)
    assert rates["total_errors_24h"] == 1
    clock.advance(24 * 3600)
    assert windows.performance(clock.time())[1]["total_errors_24h"] == 0


def test_the_applications_own_requests_come_before_the_checks() -> None:
    clock = ManualClock()
    windows = Windows(clock)
    windows.add(HTTP_CHECKS, 1.0, failed=True)
    windows.merge(APPLICATION, [(0.1, 3)], 0)
    times, rates, requests, source = windows.performance(clock.time())
    assert (requests, source) == (3, "application")
    assert times["p50_ms"] == pytest.approx(100, rel=0.01)
    assert rates["total_errors_24h"] == 0


def test_a_clock_that_is_set_back_leaves_no_requests_of_the_future() -> None:
    clock = ManualClock()
    windows = Windows(clock)
    windows.add(HTTP_CHECKS, 1.0, failed=False)
    clock.jump(-3600)
    windows.add(HTTP_CHECKS, 0.1, failed=False)
    times, _, requests, _ = windows.performance(clock.time())
    assert requests == 1
    assert times["p99_ms"] == pytest.approx(100, rel=0.01)


def test_the_days_counts_survive_a_restart_as_plain_values() -> None:
    clock = ManualClock()
    before, after = Windows(clock), Windows(clock)
    for _ in range(3):
        before.add(HTTP_CHECKS, 0.1, failed=True)
        clock.advance(600)
    after.restore(json.loads(json.dumps(before.snapshot())))
    after.add(HTTP_CHECKS, 0.1, failed=True)
    assert after.performance(clock.time())[1]["total_errors_24h"] == 4


@given(st.lists(st.floats(1e-6, 1e3), max_size=50), st.lists(st.floats(1e-6, 1e3), max_size=50))
def test_a_histogram_gives_back_what_was_added(kept: list[float], taken: list[float]) -> None:
    total, part, alone = Histogram(), Histogram(), Histogram()
    for value in kept:
        total.add(bucket(value), value)
        alone.add(bucket(value), value)
    for value in taken:
        total.add(bucket(value), value)
        part.add(bucket(value), value)
    total.remove(part)
    assert (total.buckets, total.count) == (alone.buckets, alone.count)
    assert total.quantiles((0.5, 0.99)) == alone.quantiles((0.5, 0.99))


class Told:
    """What processes told each other, as the file between them keeps it."""

    def __init__(self) -> None:
        self.parts: list[tuple[int, Part]] = []  # with who told it
        self.counts: dict[tuple[str, int], list[int]] = {}
        self.heard: dict[int, int] = {}

    def exchange(self, number: int, windows: Windows) -> None:
        parts, counts = windows.take()
        self.parts += [(number, part) for part in parts]
        for source, span, requests, failed in counts:
            kept = self.counts.setdefault((source, span), [0, 0])
            kept[0] += requests
            kept[1] += failed
        fresh = self.parts[self.heard.get(number, 0) :]
        self.heard[number] = len(self.parts)
        told = [Count(source, span, *kept) for (source, span), kept in self.counts.items()]
        windows.include([part for teller, part in fresh if teller != number], told)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("request"), st.integers(0, 2), st.floats(0.001, 10), st.booleans()),
            st.tuples(st.just("exchange"), st.integers(0, 2)),
            st.tuples(st.just("wait"), st.integers(1, 400)),
        ),
        max_size=60,
    )
)
def test_processes_that_tell_each_other_know_what_one_that_saw_everything_knows(steps: list[tuple[Any, ...]]) -> None:
    clock, told = ManualClock(), Told()
    single, several = Windows(clock), [Windows(clock) for _ in range(3)]
    for each in several:
        each.share()
    for step in steps:
        match step:
            case ("request", number, duration, failed):
                for each in (single, several[number]):
                    each.add(APPLICATION, duration, failed)
            case ("exchange", number):
                told.exchange(number, several[number])
            case (_, seconds):
                clock.advance(seconds)
    for _ in range(2):
        for number, each in enumerate(several):
            told.exchange(number, each)
    times, *others = single.performance(clock.time())
    for each in several:
        found, *same = each.performance(clock.time())
        assert found == pytest.approx(times)
        assert same == others


def known(windows: Windows, clock: ManualClock) -> tuple[int, int]:
    """Requests of 15 minutes, and errors of the day."""
    _, rates, requests, _ = windows.performance(clock.time())
    return requests, rates["total_errors_24h"]


def test_a_day_that_was_kept_is_told_to_others_and_a_new_file_hears_what_came_in_here_alone() -> None:
    clock, told = ManualClock(), Told()
    first, second = Windows(clock), Windows(clock)
    first.restore({APPLICATION: [(int(clock.time() // 300) - 5, 100, 7)]})
    first.add(APPLICATION, 0.1, failed=True)
    for number, each in enumerate((first, second)):
        each.share()
        each.add(APPLICATION, 0.2, failed=False)
        told.exchange(number, each)
    told.exchange(0, first)
    assert [known(each, clock) for each in (first, second)] == [(3, 8)] * 2
    anew = Told()
    for number, each in enumerate((first, second)):
        each.share()
        anew.exchange(number, each)
    anew.exchange(0, first)
    assert [known(each, clock) for each in (first, second)] == [(3, 8)] * 2
