"""What a receiver decodes of the agent's metrics."""

from __future__ import annotations

import gc
import logging
from typing import Any, Literal

import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AGGREGATION_TEMPORALITY_CUMULATIVE

from otelhealth.checks.base import Check
from otelhealth.clock import ManualClock
from otelhealth.model import CheckResult, HistogramValue, Measurement, ServiceStatus, StateChange, Status
from otelhealth.telemetry.instruments import Instruments
from tests.telemetry.conftest import Open, Sample
from tests.telemetry.receiver import Receiver, attributes, points
from tests.waiting import eventually

CHECK = Sample(name="api")


class Other(Check):
    kind: Literal["other"] = "other"


TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def result(status: Status = Status.PASS, *measurements: Measurement, duration: float = 0.02) -> CheckResult:
    kind = None if status is Status.PASS else "timeout"
    return CheckResult(status, "", kind, measurements, duration=duration, trace_id=TRACE, span_id=SPAN)


def series(receiver: Receiver, name: str) -> dict[tuple[Any, ...], Any]:
    """Values by the values of the attributes, sorted by key."""
    metric = receiver.metrics().get(name)
    return {
        tuple(value for _, value in sorted(attributes(point.attributes).items())): point
        for point in (points(metric) if metric else [])
    }


def values(receiver: Receiver, name: str) -> dict[tuple[Any, ...], float]:
    return {key: point.as_double for key, point in series(receiver, name).items()}


def test_the_state_is_one_series_per_state_and_one_of_them_is_1(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    telemetry.instruments.add(CHECK)
    telemetry.instruments.record(CHECK, result(Status.FAIL), Status.PASS)
    change = StateChange("api", Status.PASS, Status.FAIL, 1.0, 2.0)
    telemetry.instruments.transition(change)
    telemetry.instruments.transition(change)
    assert telemetry.close()
    found = values(receiver, "otelhealth.check.status")
    assert found == {("sample", "api", state): float(state == "fail") for state in ("pass", "warn", "fail", "unknown")}
    assert values(receiver, "otelhealth.check.state.transitions") == {("api", "pass", "fail"): 2.0}


def test_a_check_that_never_ran_is_unknown_and_has_no_times(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    telemetry.instruments.add(CHECK)
    assert telemetry.close()
    assert values(receiver, "otelhealth.check.status")["sample", "api", "unknown"] == 1.0
    assert values(receiver, "otelhealth.check.last_run.time") == {}


def test_a_duration_falls_into_its_bucket_with_its_run_as_exemplar(opened: Open, receiver: Receiver) -> None:
    clock = ManualClock()
    telemetry = opened(clock)
    start = clock.time()
    for duration in (0.001, 0.02, 0.03, 99.0):
        telemetry.instruments.record(CHECK, result(duration=duration), Status.PASS)
        clock.advance(1)
    assert telemetry.close()
    metric = receiver.metrics()["otelhealth.check.duration"]
    assert metric.histogram.aggregation_temporality == AGGREGATION_TEMPORALITY_CUMULATIVE
    [point] = points(metric)
    assert list(point.explicit_bounds) == [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
    assert list(point.bucket_counts) == [1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    assert (point.count, point.sum) == (4, pytest.approx(99.051))
    assert point.start_time_unix_nano == int(start * 10**9)
    assert {exemplar.as_double for exemplar in point.exemplars} == {0.001, 0.03, 99.0}
    assert {(exemplar.trace_id.hex(), exemplar.span_id.hex()) for exemplar in point.exemplars} == {(TRACE, SPAN)}


def test_runs_are_told_apart_by_result_and_error_type(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    for status in Status:
        telemetry.instruments.record(CHECK, result(status), status)
    assert telemetry.close()
    counts = {key: point.count for key, point in series(receiver, "otelhealth.check.duration").items()}
    assert counts == {
        ("sample", "api", "pass"): 1,
        ("timeout", "sample", "api", "warn"): 1,
        ("timeout", "sample", "api", "fail"): 1,
        ("timeout", "sample", "api", "unknown"): 1,
    }


def test_an_exemplar_is_sent_once_and_stays_on_the_page(opened: Open, receiver: Receiver) -> None:
    telemetry = opened(metrics={"interval": "100ms"})
    telemetry.instruments.record(CHECK, result(), Status.PASS)
    eventually(lambda: len([request for request in receiver.requests if request.path == "/v1/metrics"]) >= 2)
    assert telemetry.close()
    sent = [
        exemplar
        for _, metric in receiver.scoped_metrics()
        if metric.name == "otelhealth.check.duration"
        for point in points(metric)
        for exemplar in point.exemplars
    ]
    assert len(sent) == 1
    [family] = [family for family in telemetry.families() if family.name == "otelhealth.check.duration"]
    value = family.points[0].value
    assert isinstance(value, HistogramValue)
    assert value.exemplars[0].trace_id == TRACE


def test_measurements_leave_as_their_kind_declares_them(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    told = (
        Measurement("level", 0.5, "1", (("mount", "/var"), ("secret", "x"))),
        Measurement("read", 100.0, "By"),
        Measurement("open", 7.0, "{file}"),
        Measurement("request", 0.3, "s"),
        Measurement("kept", 1.0, "s"),
    )
    telemetry.instruments.record(CHECK, result(Status.PASS, *told), Status.PASS)
    assert telemetry.close()
    metrics = receiver.metrics()
    assert values(receiver, "otelhealth.sample.level") == {("/var", "api"): 0.5}
    assert metrics["otelhealth.sample.read"].sum.is_monotonic
    assert values(receiver, "otelhealth.sample.read") == {("api",): 100.0}
    assert not metrics["otelhealth.sample.open"].sum.is_monotonic
    assert values(receiver, "otelhealth.sample.open") == {(): 7.0}
    assert metrics["otelhealth.sample.open"].unit == "{file}"
    assert series(receiver, "otelhealth.sample.request")["api",].count == 1
    assert not any("kept" in name for name in metrics)


def test_a_measurement_of_the_users_own_is_a_gauge_of_its_kind(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    told = Measurement("open orders", 3, "{order}", (("region", "eu"),))
    telemetry.instruments.record(CHECK, result(Status.PASS, told), Status.PASS)
    assert telemetry.close()
    assert values(receiver, "otelhealth.sample.open_orders") == {("api", "eu"): 3.0}


def test_a_reading_that_a_run_no_longer_gives_disappears() -> None:
    instruments = Instruments(ManualClock())
    for mounts in (("/", "/var"), ("/",)):
        told = [Measurement("level", 0.5, "1", (("mount", mount),)) for mount in mounts]
        instruments.record(CHECK, result(Status.PASS, *told), Status.PASS)
    [family] = [family for family in instruments.families() if family.name == "otelhealth.sample.level"]
    assert [dict(point.attributes)["mount"] for point in family.points] == ["/"]


def test_readings_that_come_and_go_do_not_pile_up() -> None:
    instruments = Instruments(ManualClock(), limit=100)
    for number in range(1_000):
        told = Measurement("level", 0.5, "1", (("mount", f"/{number}"),))
        instruments.record(CHECK, result(Status.PASS, told), Status.PASS)
    assert instruments.refusals == {}
    [table] = [table for table in instruments.tables() if table.metric.name == "otelhealth.sample.level"]
    assert len(table.series) < 40


def test_numbers_that_say_nothing_are_not_sent() -> None:
    instruments = Instruments(ManualClock())
    told = [Measurement("level", value, "1") for value in (float("nan"), float("inf"))]
    instruments.record(CHECK, result(Status.PASS, *told), Status.PASS)
    assert "otelhealth.sample.level" not in {family.name for family in instruments.families()}


def test_a_counter_that_fell_starts_anew(opened: Open, receiver: Receiver) -> None:
    clock = ManualClock()
    telemetry = opened(clock)
    for reading in (100.0, 150.0, 3.0):
        clock.advance(10)
        telemetry.instruments.record(CHECK, result(Status.PASS, Measurement("read", reading, "By")), Status.PASS)
    assert telemetry.close()
    point = series(receiver, "otelhealth.sample.read")["api",]
    assert (point.as_double, point.start_time_unix_nano) == (3.0, int(clock.time() * 10**9))


def test_a_forgotten_check_leaves_nothing_behind_but_what_another_reads_too() -> None:
    instruments = Instruments(ManualClock())
    other = Sample(name="other")
    told = (Measurement("level", 0.5, "1"), Measurement("open", 7.0, "{file}"))
    for check in (other, CHECK):
        instruments.add(check)
        instruments.record(check, result(Status.FAIL, *told), Status.FAIL)
        instruments.transition(StateChange(check.name, Status.UNKNOWN, Status.FAIL, 1.0, 1.0))
    instruments.forget("api")
    left = [point for family in instruments.families() for point in family.points]
    assert not any(("otelhealth.check.name", "api") in point.attributes for point in left)
    instruments.record(other, result(Status.PASS, *told), Status.PASS)
    assert "otelhealth.sample.open" in {family.name for family in instruments.families()}


def test_series_of_a_forgotten_check_end_with_a_point_without_a_value(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    for check in (CHECK, Sample(name="again")):
        telemetry.instruments.record(check, result(Status.PASS, Measurement("level", 0.5, "1")), Status.PASS)
        telemetry.instruments.forget(check.name)
    telemetry.instruments.add(Sample(name="again"))
    assert telemetry.close()
    states = series(receiver, "otelhealth.check.status")
    assert {(key[1], point.flags, point.WhichOneof("value")) for key, point in states.items()} == {
        ("api", 1, None),
        ("again", 0, "as_double"),
    }
    durations = series(receiver, "otelhealth.check.duration")
    assert {(point.flags, point.count, len(point.bucket_counts)) for point in durations.values()} == {(1, 0, 13)}
    assert {point.flags for point in series(receiver, "otelhealth.sample.level").values()} == {1}


def test_a_forgotten_check_is_freed_without_the_garbage_collector() -> None:
    instruments = Instruments(ManualClock())
    instruments.record(CHECK, result(Status.PASS, Measurement("level", 0.5, "1")), Status.PASS)
    gc.collect()
    instruments.forget("api")
    assert gc.collect() == 0


def test_a_check_that_a_reload_changed_goes_on_counting() -> None:
    instruments = Instruments(ManualClock())
    instruments.record(CHECK, result(), Status.PASS)
    changed = CHECK.model_copy(update={"tier": 1})
    instruments.add(changed, Status.WARN)
    instruments.record(changed, result(), Status.WARN)
    families = {family.name: family for family in instruments.families()}
    [duration] = families["otelhealth.check.duration"].points
    assert isinstance(duration.value, HistogramValue)
    assert sum(duration.value.counts) == 2
    now = families["otelhealth.check.status"].points
    states = {dict(point.attributes)["otelhealth.check.state"]: point.value for point in now}
    assert states == {"pass": 0.0, "warn": 1.0, "fail": 0.0, "unknown": 0.0}


def test_a_check_that_became_another_kind_starts_anew() -> None:
    instruments = Instruments(ManualClock())
    instruments.record(CHECK, result(), Status.PASS)
    instruments.add(Other(name="api"))
    kinds = {
        dict(point.attributes).get("otelhealth.check.kind")
        for family in instruments.families()
        for point in family.points
        if ("otelhealth.check.name", "api") in point.attributes
    }
    assert kinds == {"other"}


def test_series_beyond_the_limit_are_refused_once_and_loudly(caplog: pytest.LogCaptureFixture) -> None:
    instruments = Instruments(ManualClock(), limit=20)
    told = [Measurement("level", 0.5, "1", (("mount", f"/{number}"),)) for number in range(50)]
    with caplog.at_level(logging.ERROR, "otelhealth"):
        for _ in range(3):
            instruments.record(CHECK, result(Status.PASS, *told), Status.PASS)
    sentence = "not exported: series beyond 20 (telemetry.metrics.cardinality_limit)"
    assert instruments.refusals == {"api": sentence}
    assert caplog.messages == [f"check api: {sentence}"]
    [family] = [family for family in instruments.families() if family.name == "otelhealth.sample.level"]
    assert len(family.points) == 19


def test_a_measurement_that_contradicts_a_metric_is_refused(caplog: pytest.LogCaptureFixture) -> None:
    instruments = Instruments(ManualClock())
    for unit in ("s", "By"):
        instruments.record(CHECK, result(Status.PASS, Measurement("own", 1.0, unit)), Status.PASS)
        other = Sample(name="other")
    instruments.record(other, result(Status.PASS, Measurement("own", 1.0, "By")), Status.PASS)
    assert "otelhealth.sample.own is a gauge in 's' already" in instruments.refusals["other"]
    assert "otelhealth.sample.own" in caplog.text


def test_the_service_and_the_agent_are_told(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    instruments = telemetry.instruments
    instruments.service(ServiceStatus.DEGRADED, 87.5)
    instruments.scheduler_lag("fast", 0.002)
    instruments.running("slow", 3)
    instruments.skipped("still_running")
    instruments.threads_blocked(2)
    instruments.loop_lag(0.001)
    instruments.config_reload("refused")
    assert telemetry.close()
    assert values(receiver, "otelhealth.service.status")["degraded",] == 1.0
    assert values(receiver, "otelhealth.service.score") == {(): 0.875}
    assert series(receiver, "otelhealth.scheduler.lag")["fast",].count == 1
    assert values(receiver, "otelhealth.checks.running") == {("fast",): 0.0, ("slow",): 3.0, ("thread",): 0.0}
    assert values(receiver, "otelhealth.checks.skipped") == {("still_running",): 1.0}
    assert values(receiver, "otelhealth.threads.blocked") == {(): 2.0}
    assert series(receiver, "otelhealth.runtime.loop.lag")[()].count == 1
    assert values(receiver, "otelhealth.config.reloads") == {("accepted",): 0.0, ("refused",): 1.0}
    assert values(receiver, "process.memory.usage")[()] > 10**6
    assert values(receiver, "process.cpu.time")["user",] > 0


def test_ten_thousand_points_leave_in_requests_of_bounded_size(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    for number in range(2_500):
        telemetry.instruments.add(Sample(name=f"check-{number}"))
    assert telemetry.close()
    bodies = [request for request in receiver.requests if request.path == "/v1/metrics"]
    assert len(bodies) >= 2
    assert all(len(request.body) <= 2_100_000 for request in bodies)
    assert len(series(receiver, "otelhealth.check.status")) == 10_000
