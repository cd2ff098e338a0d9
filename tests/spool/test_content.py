"""What the spool is told of requests, against the protobuf library and JSON."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf.json_format import MessageToJson, Parse  # type: ignore[import-untyped]  # its stubs are another package
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelhealth.spool import Letter, SignalName
from otelhealth.spool.settings import SIGNALS
from otelhealth.telemetry.content import OtlpContent

CONTENT = OtlpContent()
JSON, PROTOBUF = "application/json", "application/x-protobuf"
REQUESTS: dict[SignalName, Any] = {
    "traces": ExportTraceServiceRequest,
    "metrics": ExportMetricsServiceRequest,
    "logs": ExportLogsServiceRequest,
}
shapes = st.lists(st.lists(st.integers(0, 4), max_size=3), max_size=3)  # items of each scope of each resource


def made(signal: SignalName, shape: list[list[int]]) -> Any:
    """A request whose items are numbered."""
    request, number = REQUESTS[signal](), 0
    for scopes in shape:
        resource = getattr(request, f"resource_{'spans' if signal == 'traces' else signal}").add(schema_url="r")
        resource.resource.attributes.add(key="host").value.string_value = "here"
        for items in scopes:
            scope = getattr(resource, f"scope_{'spans' if signal == 'traces' else signal}").add(schema_url="s")
            scope.scope.name = "test"
            for _ in range(items):
                number += 1
                add(signal, scope, number)
    return request


def add(signal: SignalName, scope: Any, number: int) -> None:
    if signal == "traces":
        scope.spans.add(name=str(number), flags=1, start_time_unix_nano=5)
    elif signal == "logs":
        scope.log_records.add(event_name=str(number))
    else:
        metric = scope.metrics.add(name="size", unit="By")
        data = metric.gauge if number % 2 else metric.sum
        data.data_points.add(as_int=number)
        data.data_points.add(as_int=-number)


def items(signal: SignalName, request: Any) -> list[str]:
    """Each item with all that stands around it, as text."""
    found = []
    kind = "spans" if signal == "traces" else signal
    for resource in getattr(request, f"resource_{kind}"):
        for scope in getattr(resource, f"scope_{kind}"):
            around = f"{resource.resource}{resource.schema_url}{scope.scope}{scope.schema_url}"
            if signal == "metrics":
                for metric in scope.metrics:
                    data = getattr(metric, metric.WhichOneof("data"))
                    found += [f"{around}{metric.name}{metric.unit}{point}" for point in data.data_points]
            else:
                found += [f"{around}{item}" for item in (scope.spans if signal == "traces" else scope.log_records)]
    return found


def encoded(request: Any, content_type: str) -> bytes:
    return bytes(MessageToJson(request).encode() if content_type == JSON else request.SerializeToString())


def decoded(letter: Letter) -> Any:
    body, kind = letter.plain().body, REQUESTS[letter.signal]
    return Parse(body, kind()) if letter.content_type == JSON else kind.FromString(body)


@pytest.mark.parametrize("content_type", [PROTOBUF, JSON])
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize("signal", SIGNALS)
@settings(deadline=None)
@given(shape=shapes)
def test_halves_hold_together_what_the_whole_did_in_its_order(
    signal: SignalName, packed: bool, content_type: str, shape: list[list[int]]
) -> None:
    request = made(signal, shape)
    letter = Letter(signal, encoded(request, content_type), content_type)
    letter = letter.packed() if packed else letter
    assert CONTENT.count(letter) == len(items(signal, request))
    pieces, whole = [letter], []
    while pieces:
        piece = pieces.pop(0)
        halves = CONTENT.halves(piece)
        assert [half.content_encoding for half in halves] == [letter.content_encoding] * len(halves)
        assert sum(half.items for half in halves) == (CONTENT.count(piece) if halves else 0)
        if not halves:
            assert CONTENT.count(piece) <= 1
            whole += items(signal, decoded(piece))
        pieces[:0] = halves
    assert whole == items(signal, request)


@settings(deadline=None)
@given(signal=st.sampled_from(SIGNALS), body=st.binary(max_size=60), content_type=st.sampled_from([PROTOBUF, JSON]))
def test_what_cannot_be_read_is_one_item_and_raises_nothing(signal: SignalName, body: bytes, content_type: str) -> None:
    for letter in (Letter(signal, body, content_type), Letter(signal, body, content_type, "gzip")):
        assert CONTENT.count(letter) >= 0
        for half in CONTENT.halves(letter):
            assert half.body
    assert CONTENT.rejected(content_type, body)[0] >= 0
    assert isinstance(CONTENT.reason(content_type, body), str)


json_values = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["resourceSpans", "scopeSpans", "spans", "partialSuccess", "rejectedSpans", "message"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


@settings(deadline=None)
@given(value=json_values)
def test_a_json_of_another_shape_raises_nothing(value: Any) -> None:
    letter = Letter("traces", json.dumps(value).encode(), JSON)
    assert CONTENT.count(letter) >= 0
    CONTENT.halves(letter)
    CONTENT.rejected(JSON, letter.body)
    CONTENT.reason(JSON, letter.body)


def test_a_partial_success_and_a_refusal_in_json_are_read() -> None:
    partial = {"partialSuccess": {"rejectedLogRecords": "3", "errorMessage": "too old"}}
    assert CONTENT.rejected(JSON, json.dumps(partial).encode()) == (3, "too old")
    assert CONTENT.rejected(JSON, b"{}") == (0, "")
    assert CONTENT.reason(JSON, b'{"code": 3, "message": "bad span"}') == "bad span"
    assert CONTENT.reason("text/plain; charset=utf-8", b"go away\n") == "go away"


def test_a_body_of_several_gzip_members_keeps_all_its_items() -> None:
    packed = [Letter("traces", made("traces", [[2]]).SerializeToString()).packed().body for _ in range(2)]
    letter = Letter("traces", b"".join(packed), content_encoding="gzip")
    assert CONTENT.count(letter) == 4
    assert sum(half.items for half in CONTENT.halves(letter)) == 4


def test_what_unpacks_to_too_much_or_is_cut_off_is_not_unpacked() -> None:
    bomb = Letter("traces", bytes(65 * 2**20)).packed()
    with pytest.raises(ValueError, match="unpacks to more than 64MiB"):
        bomb.plain()
    whole = Letter("traces", b"body" * 100).packed()
    with pytest.raises(ValueError, match="cut off"):
        whole._replace(body=whole.body[:-4]).plain()
    assert CONTENT.count(bomb) == 1
    assert CONTENT.halves(bomb) == ()
