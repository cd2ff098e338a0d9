"""What a receiver decodes of a run's spans."""

from __future__ import annotations

import pytest
from opentelemetry import trace
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, StatusCode, TraceFlags

from otelhealth.clock import ManualClock
from otelhealth.model import CheckResult
from otelhealth.model import Status as Result
from otelhealth.telemetry import Identity, Telemetry, TelemetrySettings
from tests.telemetry.conftest import Open, Sample
from tests.telemetry.receiver import Receiver, attributes

CHECK = Sample(name="api", tier=1, peer="billing")


def test_a_failed_run_is_one_trace_with_its_root_and_its_client_span(opened: Open, receiver: Receiver) -> None:
    clock = ManualClock()
    telemetry = opened(clock)
    root = telemetry.spans.start_run(CHECK, 0.25)
    context = trace.set_span_in_context(root)
    client = telemetry.tracer.start_span("GET", context, SpanKind.CLIENT, {"server.port": 80})
    clock.advance(2)
    client.end()
    result = CheckResult(Result.FAIL, "no answer", "timeout", attempts=2)
    telemetry.spans.finish_run(root, result, Result.PASS)
    assert telemetry.close()
    child, parent = receiver.spans()
    assert (parent.name, parent.kind, parent.parent_span_id) == ("check api", Span.SPAN_KIND_INTERNAL, b"")
    assert attributes(parent.attributes) == {
        "otelhealth.check.name": "api",
        "otelhealth.check.kind": "sample",
        "otelhealth.check.tier": 1,
        "otelhealth.check.delay": 0.25,
        "otelhealth.check.attempts": 2,
        "otelhealth.check.result": "fail",
        "otelhealth.check.state": "pass",
        "service.peer.name": "billing",
        "error.type": "timeout",
    }
    assert parent.status.code == Status.STATUS_CODE_ERROR
    assert (child.name, child.kind) == ("GET", Span.SPAN_KIND_CLIENT)
    assert (child.trace_id, child.parent_span_id) == (parent.trace_id, parent.span_id)
    assert child.end_time_unix_nano - child.start_time_unix_nano == 2 * 10**9
    assert parent.trace_id.hex() == f"{root.get_span_context().trace_id:032x}"
    assert child.flags & 0xFF == 1


@pytest.mark.parametrize("status", [Result.PASS, Result.WARN])
def test_a_run_that_holds_leaves_the_status_unset(opened: Open, receiver: Receiver, status: Result) -> None:
    telemetry = opened()
    root = telemetry.spans.start_run(CHECK, 0)
    telemetry.spans.finish_run(root, CheckResult(status, error_type="slow"), status)
    assert telemetry.close()
    [span] = receiver.spans()
    assert span.status.code == Status.STATUS_CODE_UNSET
    assert "error.type" not in attributes(span.attributes)


def test_a_run_is_a_root_unless_a_span_is_current(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    telemetry.spans.start_run(CHECK, 0).end()
    with telemetry.tracer.start_as_current_span("who asks"):
        telemetry.spans.start_run(CHECK, 0).end()
    assert telemetry.close()
    own, asked, around = receiver.spans()
    assert own.parent_span_id == b""
    assert (asked.trace_id, asked.parent_span_id) == (around.trace_id, around.span_id)


def test_everything_of_the_api_is_exported(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    tracer = telemetry.tracer
    other = tracer.start_span("other").get_span_context()
    span = tracer.start_span("work")
    span.update_name("renamed")
    span.set_attributes({"list": [1, 2], "yes": True})
    span.add_event("milestone", {"at": 3}, timestamp=7)
    span.add_link(other, {"why": "related"})
    with pytest.raises(ValueError, match="broken"), trace.use_span(span, end_on_exit=True):
        raise ValueError("broken")
    assert not span.is_recording()
    span.set_attribute("late", 1)
    span.end()
    assert telemetry.close()
    [found] = receiver.spans()
    assert found.name == "renamed"
    assert attributes(found.attributes) == {"list": [1, 2], "yes": True}
    assert [event.name for event in found.events] == ["milestone", "exception"]
    assert found.events[0].time_unix_nano == 7
    assert attributes(found.events[1].attributes)["exception.type"] == "ValueError"
    assert found.links[0].span_id.hex() == f"{other.span_id:016x}"
    assert found.status.code == Status.STATUS_CODE_ERROR
    assert "broken" in found.status.message


def test_a_remote_parent_that_is_not_sampled_is_followed_in_silence(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    remote = SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(0))
    span = telemetry.tracer.start_span("GET", trace.set_span_in_context(NonRecordingSpan(remote)))
    span.end()
    assert telemetry.close()
    assert span.get_span_context().trace_id == 1
    assert receiver.spans() == []


def test_without_an_endpoint_a_run_still_has_a_trace_id_that_tells_the_target_not_to_sample() -> None:
    telemetry = Telemetry.prepare(TelemetrySettings(), Identity("shop"), environ={}).start()
    root = telemetry.spans.start_run(CHECK, 0)
    context = root.get_span_context()
    assert context.is_valid
    assert not context.trace_flags.sampled
    assert not root.is_recording()
    child = telemetry.tracer.start_span("GET", trace.set_span_in_context(root))
    assert child.get_span_context().trace_id == context.trace_id
    assert telemetry.close(0.1)


def test_a_span_of_user_code_nests_under_the_run_and_leaves_through_the_same_sender(
    opened: Open, receiver: Receiver
) -> None:
    telemetry = opened(otlp={"endpoint": receiver.endpoint, "headers": {"x-key": "secret"}})
    root = telemetry.spans.start_run(CHECK, 0)
    tracer = telemetry.tracer_provider.get_tracer("shop.code")
    with trace.use_span(root, end_on_exit=True), tracer.start_as_current_span("stock") as inner:
        inner.set_status(StatusCode.OK)
    assert telemetry.close()
    found = {span.name: (resource, scope, span) for resource, scope, span in receiver.scoped_spans()}
    assert found["stock"][2].parent_span_id == found["check api"][2].span_id
    assert found["stock"][1] == "shop.code"
    assert found["stock"][0] == found["check api"][0]
    assert {request.headers["x-key"] for request in receiver.requests if request.path == "/v1/traces"} == {"secret"}
