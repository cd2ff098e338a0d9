"""The threads that send: what is lost is counted and told, and nothing ever waits for a receiver."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest

from otelhealth.model import MetricFamily
from otelhealth.telemetry import Identity, Telemetry, TelemetrySettings
from tests.stack.loopback import unused_port
from tests.telemetry.conftest import Open, Sample
from tests.telemetry.receiver import Answer, Receiver
from tests.waiting import eventually

CHECK = Sample(name="api")
EXPORTED = "otel.sdk.exporter.span.exported"


def run(telemetry: Telemetry) -> None:
    telemetry.spans.start_run(CHECK, 0).end()


def exported(telemetry: Telemetry, name: str) -> dict[str | None, float]:
    """Items by error.type."""
    families: Iterator[MetricFamily] = (family for family in telemetry.families() if family.name == name)
    return {
        dict(point.attributes).get("error.type"): point.value
        for family in families
        for point in family.points
        if isinstance(point.value, float)
    }


def has_lost(telemetry: Telemetry, items: int) -> bool:
    """By refusals."""
    return exported(telemetry, EXPORTED).get("400") == items


def test_a_refusal_is_said_once_and_all_is_counted(
    opened: Open, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "otelhealth")
    receiver.answer = Answer(400)
    telemetry = opened(traces={"delay": "10ms"}, metrics={"enabled": False})
    for number in range(1, 4):
        run(telemetry)  # of which the receiver sees two requests: one that is refused is sent again without gzip
        eventually(partial(has_lost, telemetry, number))
    receiver.answer = Answer()
    run(telemetry)
    assert telemetry.close()
    [message] = caplog.messages
    assert message == (
        "export of traces: the receiver answered 400, items dropped: 1; "
        "see in the receiver's log why it refuses this request (further ones are only counted)"
    )
    assert exported(telemetry, EXPORTED) == {"400": 3.0, None: 1.0}


def test_more_than_may_wait_is_lost_counted_and_told(
    opened: Open, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = opened(traces={"max_queue": 10, "max_batch": 4, "delay": "60s"}, metrics={"enabled": False})
    for _ in range(15):
        run(telemetry)
    assert telemetry.close()
    assert len(receiver.spans()) == 10
    assert len(receiver.requests) == 3
    assert exported(telemetry, EXPORTED) == {"queue_full": 5.0, None: 10.0}
    assert "more waits than may wait (max_queue)" in caplog.text


def test_the_end_is_bounded_when_the_receiver_hangs(opened: Open, receiver: Receiver) -> None:
    receiver.answer = Answer(hang=True)
    telemetry = opened()
    run(telemetry)
    with telemetry.tracer_provider.get_tracer("user").start_as_current_span("inner"):
        pass
    began = time.monotonic()
    assert telemetry.close(0.5)
    assert time.monotonic() - began < 5
    assert receiver.requests


def test_the_end_does_not_wait_for_a_receiver_that_is_not_there() -> None:
    told = {"otlp": {"endpoint": f"http://127.0.0.1:{unused_port()}"}}
    telemetry = Telemetry.prepare(TelemetrySettings.model_validate(told), Identity("shop"), environ={}).start()
    run(telemetry)
    assert telemetry.close(5.0)


def test_recording_never_waits_while_the_receiver_hangs(opened: Open, receiver: Receiver) -> None:
    receiver.answer = Answer(hang=True)
    telemetry = opened(traces={"delay": "1ms", "max_queue": 100})
    run(telemetry)
    eventually(lambda: receiver.requests)
    began = time.monotonic()
    for _ in range(1_000):
        run(telemetry)
    assert time.monotonic() - began < 5
    telemetry.close(0.1)


def test_without_an_endpoint_no_thread_runs() -> None:
    before = set(threading.enumerate())
    telemetry = Telemetry.prepare(TelemetrySettings(), Identity("shop"), environ={}).start()
    run(telemetry)
    assert set(threading.enumerate()) <= before
    assert telemetry.export_path is None
    assert telemetry.close(0.1)


def test_a_signal_that_is_disabled_is_not_sent(opened: Open, receiver: Receiver) -> None:
    telemetry = opened(traces={"enabled": False}, logs={"enabled": False})
    run(telemetry)
    telemetry.events.agent_start("started")
    assert telemetry.close()
    assert {request.path for request in receiver.requests} == {"/v1/metrics"}


def test_the_export_path_is_told_to_who_checks_it(opened: Open, receiver: Receiver) -> None:
    telemetry = opened(otlp={"endpoint": receiver.endpoint, "headers": {"x-key": "secret"}})
    path = telemetry.export_path
    assert path is not None
    assert (path.endpoint, path.headers, path.protocol) == (receiver.endpoint, {"x-key": "secret"}, "http/protobuf")
