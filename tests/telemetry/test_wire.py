"""The hand-written encoder against the protobuf library's decoder."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValueList

from otelhealth.telemetry.content import rejected
from otelhealth.telemetry.wire import Envelope, attributes, text
from tests.telemetry.receiver import attributes as decoded

_texts = st.text(st.characters(exclude_categories=["Cs"]))
_plain = st.one_of(
    _texts, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.binary(max_size=50)
)
_values = st.recursive(
    _plain,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(_texts, inner, max_size=4)),
    max_leaves=8,
)


@given(st.dictionaries(_texts, _values, max_size=8))
def test_any_attributes_are_read_back_as_they_were(pairs: dict[str, Any]) -> None:
    encoded = attributes(1, pairs.items())
    assert decoded(KeyValueList.FromString(encoded).values) == pairs


def test_a_boolean_an_integer_and_a_float_of_one_value_stay_apart() -> None:
    for value in (True, 1, 1.0, "1"):
        [found] = KeyValueList.FromString(attributes(1, [("same", value)])).values
        assert decoded([found]) == {"same": value}
        assert type(decoded([found])["same"]) is type(value)


def test_a_text_that_is_no_unicode_does_not_cost_the_request() -> None:
    [found] = KeyValueList.FromString(attributes(1, [("file", "b\udce9")])).values
    assert found.value.string_value == "b?"


def test_the_repeated_text_of_a_key_is_encoded_alike_each_time() -> None:
    assert attributes(1, [("a", "b")]) == attributes(1, [("a", "b")])


def test_an_envelope_carries_resource_and_scope() -> None:
    body = Envelope({"service.name": "shop"}, "otelhealth", "1.0").request([b"\x12\x00"])
    [resource] = ExportTraceServiceRequest.FromString(body).resource_spans
    assert decoded(resource.resource.attributes) == {"service.name": "shop"}
    assert (resource.scope_spans[0].scope.name, resource.scope_spans[0].scope.version) == ("otelhealth", "1.0")
    assert len(resource.scope_spans[0].spans) == 1


@given(st.integers(0, 2**63 - 1), _texts)
def test_a_partial_success_is_read(count: int, reason: str) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=count, error_message=reason)
    assert rejected(ExportTraceServiceResponse(partial_success=partial).SerializeToString()) == (count, reason)


@given(st.binary(max_size=40))
def test_an_answer_that_is_no_protobuf_rejects_nothing_and_raises_nothing(answer: bytes) -> None:
    count, reason = rejected(answer)
    assert count >= 0
    assert isinstance(reason, str)


def test_an_empty_answer_and_a_foreign_text_reject_nothing() -> None:
    assert rejected(b"") == (0, "")
    assert rejected(text(3, "something of a later version")) == (0, "")
