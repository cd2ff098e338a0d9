"""What is read of OTLP requests, held against the official encoders; and that nothing which comes in can hurt."""

from __future__ import annotations

import json
import math
import time
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelhealth.spool.settings import SIGNALS, SignalName
from otelhealth.telemetry.distribution import Explicit, Exponential
from otelhealth.telemetry.point import failed, is_probe
from otelhealth.telemetry.reading import check, read
from otelhealth.telemetry.reading_json import check_json, read_json
from tests.receive.telling import BOUNDS, CUMULATIVE, DELTA, NANO, OLD, STABLE, Told

_counts = st.lists(st.integers(0, 10**6), min_size=15, max_size=15).map(tuple)
_attributes = st.dictionaries(st.text(max_size=8), st.one_of(st.text(max_size=8), st.integers(-(2**63), 2**63 - 1)))


def test_what_a_service_tells_of_its_requests_is_read_as_it_told_it() -> None:
    counts = (0, 3, *[0] * 12, 1)
    told = (
        Told()
        .gauge("other", 1.0)
        .requests(Explicit(BOUNDS, counts), sum=12.5, min=0.004, max=12.0, start=5, at=6.5, temporality=CUMULATIVE)
    )
    [(name, point)] = told.points()
    assert (name, point.cumulative, point.start, point.time) == (STABLE, True, 5 * NANO, int(6.5 * NANO))
    assert point.attributes == {"http.response.status_code": 200}
    assert point.durations == (4, 12.5, Explicit(BOUNDS, counts), 0.004, 12.0)


def test_the_old_convention_in_milliseconds_is_told_in_seconds() -> None:
    [(name, point)] = Told().requests(Explicit((5.0, 10.0), (1, 1, 0)), OLD, unit="ms", sum=12.0, max=8.0).points()
    assert (name, point.durations) == (OLD, (2, 0.012, Explicit((0.005, 0.01), (1, 1, 0)), 0.0, 0.008))


@pytest.mark.parametrize(("name", "unit", "seconds"), [(OLD, "", 0.001), (STABLE, "", 1.0), (STABLE, "us", 1e-6)])
def test_a_unit_is_believed_and_one_that_is_missing_is_that_of_the_convention(
    name: str, unit: str, seconds: float
) -> None:
    [(_, point)] = Told().requests(Explicit((1.0,), (1, 0)), name, unit=unit).points()
    assert point.durations.buckets == Explicit((seconds,), (1, 0))


@pytest.mark.parametrize("told", [{"name": "http.client.request.duration"}, {"unit": "By"}, {"temporality": 0}])
def test_what_is_no_duration_of_requests_is_left_out(told: dict[str, Any]) -> None:
    assert Told().requests(Explicit((1.0,), (1, 0)), **told).points() == []


def test_a_point_without_a_recorded_value_is_left_out() -> None:
    assert Told().requests(Explicit((1.0,), (1, 0)), flags=1).points() == []


@given(_counts, st.floats(0, 1e6), _attributes, st.sampled_from((DELTA, CUMULATIVE)))
@example((0,) * 15, 0.0, {"url.path": -1}, DELTA)
def test_any_histogram_is_read_alike_from_both_encodings(
    counts: tuple[int, ...], total: float, attributes: dict[str, str | int], temporality: int
) -> None:
    told = Told().requests(Explicit(BOUNDS, counts), sum=total, attributes=attributes, temporality=temporality)
    [(_, point)] = told.points()
    assert point.durations == (sum(counts), total, Explicit(BOUNDS, counts), 0.0, math.inf)


@given(_counts, st.integers(-10, 20), st.integers(-1000, 1000), st.integers(0, 100))
def test_any_exponential_histogram_is_read_alike_from_both_encodings(
    counts: tuple[int, ...], scale: int, offset: int, zero: int
) -> None:
    [(_, point)] = Told().requests(Exponential(scale, zero, offset, counts)).points()
    assert point.durations.buckets == Exponential(scale, zero, offset, counts)


def test_a_series_is_the_same_in_whatever_order_its_attributes_come() -> None:
    buckets = Explicit((1.0,), (1, 0))
    told = Told(a="1", b="2").requests(buckets, attributes={"x": "1", "y": 2})
    again = Told(b="2", a="1").requests(buckets, attributes={"y": 2, "x": "1"})
    other = Told(a="1", b="2").requests(buckets, attributes={"x": "1", "y": 3})
    elsewhere = Told(a="1", b="3").requests(buckets, attributes={"x": "1", "y": 2})
    series = [each.points()[0][1].series for each in (told, again, other, elsewhere)]
    assert series[0] == series[1]
    assert len(set(series)) == 3


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"http.response.status_code": 499}, False),
        ({"http.response.status_code": 500}, True),
        ({"http.status_code": 503}, True),
        ({"http.response.status_code": 200, "error.type": "TimeoutError"}, True),
        ({"http.response.status_code": "500"}, False),
        ({}, False),
    ],
)
def test_a_request_failed_by_its_status_or_an_error_type(attributes: dict[str, Any], expected: bool) -> None:
    assert failed(attributes) is expected


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"http.route": "/health"}, True),
        ({"http.route": "/health/live"}, True),
        ({"http.target": "/healthz?full=1"}, True),
        ({"url.path": "/health/checks/db"}, True),
        ({"http.route": "/items", "user_agent.synthetic.type": "test"}, True),
        ({"http.route": "/healthcare/plans"}, False),
        ({"http.route": "/api/health-insurance"}, False),
        ({}, False),
    ],
)
def test_a_probe_is_known_by_its_path_or_its_user_agent(attributes: dict[str, Any], expected: bool) -> None:
    assert is_probe(attributes) is expected


@pytest.mark.parametrize("signal", SIGNALS)
@given(st.binary(max_size=300))
def test_no_bytes_can_make_a_reader_raise_anything_but_that_they_are_no_otlp(signal: SignalName, body: bytes) -> None:
    for reader in (check, read, read_json, partial(check_json, signal=signal)):
        with suppress(ValueError):
            reader(body)


@given(st.integers(0, 10**9), st.data())
def test_a_request_that_was_damaged_on_its_way_never_hurts(seed: int, data: st.DataObject) -> None:
    whole = Told().requests(Explicit(BOUNDS, (1,) * 15), sum=1.0).requests(Exponential(3, 1, 2, (1, 2, 3))).protobuf()
    at = seed % len(whole)
    damaged = whole[:at] + data.draw(st.binary(max_size=4)) + whole[at + data.draw(st.integers(0, 4)) :]
    with suppress(ValueError):
        for _, point in read(damaged):
            assert isinstance(point.durations.believable, bool)


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_cut_off_request_is_malformed(cut: int) -> None:
    body = Told().requests(Explicit(BOUNDS, (1,) * 15)).protobuf()
    with pytest.raises(ValueError, match=r"cut off|beyond its message"):
        read(body[:-cut])


def test_traces_and_logs_are_taken_by_their_frame() -> None:
    traces, logs = ExportTraceServiceRequest(), ExportLogsServiceRequest()
    traces.resource_spans.add().scope_spans.add().spans.add(name="GET /")
    logs.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO")
    for body in (traces.SerializeToString(), logs.SerializeToString(), b""):
        check(body)
    with pytest.raises(ValueError, match="beyond its message"):
        check(traces.SerializeToString()[:-1])


@pytest.mark.parametrize("signal", SIGNALS)
@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"null", b"{", b'{"resource', b"{}x", b"{} {}", b"\xff", b'{"a":}', b'{"a" 1}', b'{"a":1,}', b"{1:2}"],
)
def test_what_is_no_json_object_is_malformed(signal: SignalName, text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_json(text, signal)


@pytest.mark.parametrize(
    "text",
    [
        b'{"resourceMetrics":5}',
        b'{"resourceMetrics":[5]}',
        b'{"resourceMetrics":[{"scopeMetrics":{}}]}',
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[}]}]}',
        b'{"resourceMetrics":[{}}',
    ],
)
def test_json_of_another_frame_is_malformed(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"at character|line 1"):
        check_json(text, "metrics")


@pytest.mark.parametrize("text", [b"{}", b' { "resourceMetrics" : null } ', b'{"resourceMetrics":[]}', b'{"x":[1,{}]}'])
def test_an_empty_request_is_sound(text: bytes) -> None:
    check_json(text, "metrics")
    assert read_json(text) == []


def test_json_with_an_odd_metric_is_sound_and_nothing_is_read_of_it() -> None:
    odd = {"name": STABLE, "unit": "s", "histogram": {"aggregationTemporality": 1, "dataPoints": [{"count": "many"}]}}
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": [odd]}]}]}).encode()
    check_json(body, "metrics")
    with pytest.raises(ValueError, match="count"):
        read_json(body)


@pytest.mark.parametrize("name", [None, 1, [], {}])
def test_json_with_a_metric_of_an_odd_name_is_sound_and_the_others_are_read(name: object) -> None:
    point = {"count": 1, "sum": 0.5}
    metrics = [
        {"name": name},
        {"name": STABLE, "histogram": {"aggregationTemporality": 1, "dataPoints": [point]}},
    ]
    body = json.dumps({"resourceMetrics": [{"scopeMetrics": [{"metrics": metrics}]}]}).encode()
    check_json(body, "metrics")
    assert [name for name, _ in read_json(body)] == [STABLE]


def test_json_nested_without_end_is_malformed() -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        check_json(b'{"a":' + b"[" * 100_000, "logs")


@pytest.mark.parametrize(
    "body",
    [
        b"\x0a\x00" * 2_000_000,
        b"\x0a\x80\x80\x80\x02" + b"\x12\x00" * 2**21,
        Told().requests(Exponential(0, 0, 0, (0,) * 3_000_000)).protobuf(),
        b"\x08" + b"\xff" * 4_000_000,
    ],
    ids=["resources", "scopes", "buckets", "a number"],
)
def test_a_body_made_to_be_long_to_read_is_soon_given_up(body: bytes) -> None:
    begun = time.thread_time()
    with suppress(ValueError):
        read(body)
    assert time.thread_time() - begun < 2.0


@pytest.mark.parametrize(
    "body",
    [
        b'{"resourceMetrics":[' + b"{}," * 1_300_000 + b"{}]}",
        b"{" + b'"a":0,' * 600_000 + b'"a":0}',
        b'{"resourceMetrics":[{"scopeMetrics":[{"metrics":[' + b"0," * 2_000_000 + b"0]}]}]}",
    ],
    ids=["resources", "keys", "metrics"],
)
def test_a_body_of_json_made_to_be_long_to_read_is_soon_given_up(body: bytes) -> None:
    begun = time.thread_time()
    check_json(body, "metrics")
    assert read_json(body) == []
    assert time.thread_time() - begun < 1.0


def test_a_large_body_of_json_is_passed_on_unread() -> None:
    body = b'{"resourceMetrics":' + b"[" * 5_000_000
    check_json(body, "metrics")
    assert read_json(body) == []
