"""From what services tell to the figures of `performance`, held against the requests that there were."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader

from otelhealth.clock import ManualClock
from otelhealth.telemetry.distribution import Distribution, Explicit, Exponential
from otelhealth.telemetry.requests import Requests
from otelhealth.telemetry.windows import Windows
from tests.receive.telling import BOUNDS, CUMULATIVE, GET, OLD, STABLE, Told

FAILED = {**GET, "http.response.status_code": 500}


class Seen:
    """Requests that were taken, and what `performance` says of them."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.windows = Windows(self.clock)
        self.requests = Requests(self.windows, self.clock)

    @property
    def now(self) -> float:
        return self.clock.time()

    def take(self, *told: Told) -> None:
        for each in told:
            self.requests.take(each.points())

    def figures(self) -> tuple[dict[str, float], dict[str, float], int, str | None]:
        times, rates, requests, source = self.windows.performance(self.now)
        return dict(times), dict(rates), requests, source  # type: ignore[arg-type] # plain dicts of numbers

    @property
    def count(self) -> int:
        return self.figures()[2]


def buckets_of(durations: Iterable[float], bounds: Sequence[float] = BOUNDS) -> Explicit:
    counts = [0] * (len(bounds) + 1)
    for duration in durations:
        counts[bisect_left(bounds, duration)] += 1
    return Explicit(tuple(bounds), tuple(counts))


def test_delta_points_are_the_applications_requests() -> None:
    seen = Seen()
    durations = [0.02] * 90 + [0.3] * 10
    seen.take(
        Told()
        .requests(buckets_of(durations), sum=sum(durations), min=0.02, max=0.3)
        .requests(buckets_of([2.0] * 25), sum=50.0, attributes=FAILED)
    )
    times, rates, requests, source = seen.figures()
    assert (requests, source) == (125, "application")
    assert rates == {"rate_1min": 20.0, "rate_5min": 20.0, "rate_15min": 20.0, "total_errors_24h": 25}
    assert times["average_ms"] == pytest.approx((sum(durations) + 50.0) / 125 * 1000)
    assert 10 <= times["p50_ms"] <= 25
    assert 1000 <= times["p95_ms"] <= 2500


def test_percentiles_are_within_the_buckets_that_hold_them() -> None:
    seen, dice = Seen(), random.Random(5)
    durations = sorted(dice.lognormvariate(-3, 1) for _ in range(2000))
    seen.take(Told().requests(buckets_of(durations), sum=sum(durations), min=durations[0], max=durations[-1]))
    times = seen.figures()[0]
    for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
        exact = durations[int(share * len(durations)) - 1]
        at = bisect_left(BOUNDS, exact)
        assert 0.99 * BOUNDS[at - 1] <= times[name] / 1000 <= 1.01 * BOUNDS[at]
        assert times[name] / 1000 == pytest.approx(exact, rel=0.25)


def test_a_single_request_is_known_exactly() -> None:
    seen = Seen()
    seen.take(Told().requests(buckets_of([1.7]), sum=1.7))
    assert seen.figures()[0]["p50_ms"] == pytest.approx(1700, rel=0.006)


def test_requests_without_buckets_count_with_their_average() -> None:
    seen = Seen()
    seen.take(Told().requests(Explicit((), ()), sum=10.0, count=4))
    assert seen.count == 4
    assert seen.figures()[0]["p99_ms"] == pytest.approx(2500, rel=0.006)


def test_what_is_above_all_bounds_is_not_above_the_maximum() -> None:
    seen = Seen()
    seen.take(Told().requests(buckets_of([20.0, 40.0]), max=40.0))
    assert 10_000 < seen.figures()[0]["p99_ms"] <= 40_300


def test_the_old_convention_is_read_unless_the_stable_one_is_told_beside_it() -> None:
    seen = Seen()
    seen.take(Told().requests(Explicit((100.0,), (5, 0)), OLD, unit="ms", attributes={"http.status_code": 500}))
    assert (seen.count, seen.figures()[1]["rate_1min"]) == (5, 100.0)
    both = Told().requests(Explicit((100.0,), (7, 0)), OLD, unit="ms").requests(Explicit((0.1,), (7, 0)))
    seen.take(both)
    assert seen.count == 12


def test_probes_are_no_requests_of_the_application() -> None:
    seen = Seen()
    seen.take(Told().requests(Explicit((1.0,), (9, 0)), attributes={**GET, "http.route": "/health/live"}))
    assert seen.figures()[2:] == (0, None)


def cumulative(count: int, start: float, at: float, **told: Any) -> Told:
    durations = [0.02] * count
    return Told().requests(
        buckets_of(durations), temporality=CUMULATIVE, sum=sum(durations), start=start, at=at, **told
    )


def test_a_cumulative_series_counts_by_what_it_grew() -> None:
    seen = Seen()
    for at, count in ((10, 5), (20, 5), (30, 12)):
        seen.take(cumulative(count, seen.now + 1, seen.now + at))
    assert seen.count == 12


def test_what_a_series_had_counted_before_the_agent_came_is_not_of_now() -> None:
    seen = Seen()
    seen.take(cumulative(5000, seen.now - 100, seen.now))
    assert seen.count == 0
    seen.take(cumulative(5003, seen.now - 100, seen.now + 10))
    assert seen.count == 3


def test_a_restarted_service_counts_anew() -> None:
    seen = Seen()
    seen.take(cumulative(100, seen.now - 50, seen.now), cumulative(110, seen.now - 50, seen.now + 10))
    assert seen.count == 10
    seen.take(cumulative(120, seen.now + 15, seen.now + 20))
    assert seen.count == 130


def test_a_series_that_fell_without_a_new_start_counts_anew() -> None:
    seen = Seen()
    seen.take(cumulative(100, 0, seen.now), cumulative(4, 0, seen.now + 10))
    assert seen.count == 4


def test_a_point_that_comes_twice_or_late_counts_once() -> None:
    seen = Seen()
    first, second = cumulative(5, seen.now + 1, seen.now + 2), cumulative(9, seen.now + 1, seen.now + 3)
    seen.take(first, second, second, first, second)
    assert seen.count == 9


def test_series_of_two_services_do_not_mix() -> None:
    seen = Seen()
    for name in ("shop", "billing"):
        told = Told(name=name)
        told.requests(buckets_of([0.02] * 3), temporality=CUMULATIVE, start=seen.now + 1, at=seen.now + 2)
        seen.take(told)
    assert seen.count == 6


def test_other_buckets_begin_another_count() -> None:
    seen = Seen()
    seen.take(cumulative(5, seen.now + 1, seen.now + 2))
    told = Told().requests(Explicit((1.0,), (7, 0)), temporality=CUMULATIVE, start=seen.now + 1, at=seen.now + 3)
    seen.take(told)
    assert seen.count == 5
    again = Told().requests(Explicit((1.0,), (9, 0)), temporality=CUMULATIVE, start=seen.now + 1, at=seen.now + 4)
    seen.take(again)
    assert seen.count == 7


@pytest.mark.parametrize(
    "point",
    [
        Distribution(1, float("nan"), Explicit((1.0,), (1, 0))),
        Distribution(1, -1.0, Explicit((1.0,), (1, 0))),
        Distribution(2**60, 1.0, Explicit((1.0,), (1, 0))),
        Distribution(1, 1.0, Explicit((1.0,), (2**60, 0))),
        Distribution(1, 1.0, Explicit((1.0, 1.0), (1, 0, 0))),
        Distribution(1, 1.0, Explicit((float("nan"),), (1, 0))),
        Distribution(1, 1.0, Explicit((1.0,), (1,))),
        Distribution(1, 1.0, Explicit((1.0,), (1, 0)), low=2.0, high=1.0),
        Distribution(1, 1.0, Exponential(-30, 0, 0, (1,))),
        Distribution(1, 1.0, Exponential(0, -1, 0, (1,))),
        Distribution(1, 1.0, Exponential(0, 0, 10**400, (1,))),
        Distribution(1, 1.0, Exponential(0, 0, 0, (1,) * 3000)),
    ],
)
def test_what_no_service_can_have_measured_is_not_believed(point: Distribution) -> None:
    assert not point.believable


def test_more_requests_than_can_be_are_not_believed() -> None:
    seen = Seen()
    seen.take(Told().requests(Explicit((1.0,), (2**40, 0))), Told().requests(Explicit((1.0,), (1, 0))))
    assert seen.count == 1


@given(st.integers(-10, 20), st.integers(-(2**31), 2**31), st.integers(0, 9), st.lists(st.integers(0, 9), max_size=9))
def test_any_exponential_histogram_gives_finite_durations(
    scale: int, offset: int, zero: int, counts: list[int]
) -> None:
    durations = Distribution(sum(counts) + zero, None, Exponential(scale, zero, offset, counts))
    if durations.believable:
        assert sum(count for _, count in durations.parts()) == sum(counts) + zero
        assert all(0 <= value < 1e20 for value, _ in durations.parts())


class Service(RuleBasedStateMachine):
    """The official SDK counts requests cumulatively in either shape; however it is asked, nothing counts twice."""

    def __init__(self) -> None:
        super().__init__()
        self.seen, self.measured, self.at = Seen(), 0, 0.0
        self.reader: InMemoryMetricReader | None = None
        self.start()

    @rule()
    def start(self) -> None:
        """Or start again."""
        from opentelemetry.sdk.metrics import Histogram, MeterProvider
        from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

        self.close()
        aggregation: Any = {Histogram: ExponentialBucketHistogramAggregation(max_size=20)}
        self.reader = InMemoryMetricReader(
            preferred_temporality={Histogram: AggregationTemporality.CUMULATIVE}, preferred_aggregation=aggregation
        )
        self.provider = MeterProvider([self.reader], shutdown_on_exit=False)
        self.histogram = self.provider.get_meter("shop").create_histogram(STABLE, "s")
        self.unsent = 0

    @rule(durations=st.lists(st.floats(1e-4, 100.0), min_size=1, max_size=20))
    def serve(self, durations: list[float]) -> None:
        for duration in durations:
            self.histogram.record(duration, dict(GET))
        self.unsent += len(durations)

    @rule()
    def export(self) -> None:
        from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics

        assert self.reader is not None
        data = self.reader.get_metrics_data()
        if data is None:
            return
        told = Told()
        told.request = encode_metrics(data)
        self.seen.take(told)
        self.measured += self.unsent
        self.unsent = 0

    @invariant()
    def all_that_was_told_is_counted_once(self) -> None:
        assert self.seen.count == self.measured

    def close(self) -> None:
        if self.reader is not None:
            self.provider.shutdown()

    def teardown(self) -> None:
        self.close()


TestService = Service.TestCase
TestService.settings = settings(max_examples=30)
