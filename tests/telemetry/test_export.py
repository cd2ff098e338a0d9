"""Delivery: what is retried, what is lost and told, and that nothing ever waits for a receiver."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from otelhealth.errors import OtelHealthError
from otelhealth.model import MetricFamily
from otelhealth.telemetry import Identity, Telemetry, TelemetrySettings
from otelhealth.telemetry.settings import Otlp
from otelhealth.telemetry.transport import HttpSender, Outcome, sender_for
from tests.telemetry.conftest import Open, Sample
from tests.telemetry.receiver import Answer, Receiver, eventually

CHECK = Sample(name="api")


def sender(endpoint: str, **told: object) -> HttpSender:
    return HttpSender(Otlp.model_validate({"endpoint": endpoint + "/v1/traces", "timeout": "3s"} | told))


def unused_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


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


def test_a_request_is_compressed_and_carries_its_headers_over_one_connection(receiver: Receiver) -> None:
    sending = sender(receiver.endpoint, headers={"X-Tenant": "shop"})
    for _ in range(3):
        assert sending.send(b"body" * 100) == Outcome()
    assert [request.body for request in receiver.requests] == [b"body" * 100] * 3
    assert receiver.requests[0].compressed < 100
    headers = receiver.requests[0].headers
    assert (headers["x-tenant"], headers["content-type"]) == ("shop", "application/x-protobuf")
    assert headers["user-agent"].startswith("otelhealth/")
    sending.close()


def test_compression_can_be_turned_off(receiver: Receiver) -> None:
    sending = sender(receiver.endpoint, compression="none")
    assert sending.send(b"plain") == Outcome()
    assert "content-encoding" not in receiver.requests[0].headers
    sending.close()


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_receiver_that_asks_for_it_is_tried_again(receiver: Receiver, status: int) -> None:
    receiver.answers = [Answer(status, {"retry-after": "0.01"})]
    sending = sender(receiver.endpoint)
    assert sending.send(b"x") == Outcome()
    assert len(receiver.requests) == 2
    sending.close()


@pytest.mark.parametrize("status", [302, 400, 401, 404, 413, 500])
def test_any_other_answer_is_a_loss_and_is_not_tried_again(receiver: Receiver, status: int) -> None:
    receiver.answer = Answer(status, {"location": "/elsewhere"})
    sending = sender(receiver.endpoint)
    assert sending.send(b"x").error_type == str(status)
    assert len(receiver.requests) == 1
    sending.close()


def test_a_retry_that_would_come_after_the_deadline_is_not_waited_for(receiver: Receiver) -> None:
    receiver.answer = Answer(503, {"retry-after": "3600"})
    sending = sender(receiver.endpoint)
    assert sending.send(b"x").error_type == "503"
    sending.close()


def test_a_partial_success_counts_what_was_rejected(receiver: Receiver) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=3, error_message="too old")
    receiver.answer = Answer(body=ExportTraceServiceResponse(partial_success=partial).SerializeToString())
    sending = sender(receiver.endpoint)
    assert sending.send(b"x") == Outcome(None, "too old", 3)
    sending.close()


def test_nobody_there_is_a_refused_connection() -> None:
    sending = sender(f"http://127.0.0.1:{unused_port()}", timeout="100ms")
    assert sending.send(b"x").error_type == "connection_refused"
    sending.close()


@pytest.mark.parametrize("answer", [Answer(hang=True), Answer(trickle=True)], ids=["hangs", "trickles"])
def test_one_deadline_holds_for_the_whole_request(receiver: Receiver, answer: Answer) -> None:
    receiver.answer = answer
    sending = sender(receiver.endpoint, timeout="200ms")
    assert sending.send(b"x").error_type == "timeout"
    sending.close()


def test_an_answer_that_is_no_http_is_an_error_of_the_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(b"SSH-2.0-OpenSSH_9.9\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        sending = sender(f"http://127.0.0.1:{server.getsockname()[1]}", timeout="200ms")
        assert sending.send(b"x").error_type == "connection_error"
        thread.join()
        sending.close()


def test_a_kept_connection_that_the_receiver_closed_is_made_anew() -> None:
    """Answers one request on each connection, saying nothing of closing it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(3):
                peer, _ = server.accept()
                with peer:
                    peer.recv(65536)
                    peer.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        sending = sender(f"http://127.0.0.1:{server.getsockname()[1]}")
        assert [sending.send(b"x") for _ in range(3)] == [Outcome()] * 3
        thread.join()
        sending.close()


def test_a_receiver_with_a_certificate_of_its_own_is_checked_against_the_named_ca(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            for _ in range(2):
                peer, _ = server.accept()
                try:
                    with context.wrap_socket(peer, server_side=True) as secure:
                        secure.recv(65536)
                        secure.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                except ssl.SSLError:
                    peer.close()

        thread = threading.Thread(target=answer)
        thread.start()
        endpoint = f"https://127.0.0.1:{server.getsockname()[1]}"
        trusting = sender(endpoint, certificate=tmp_path / "ca.pem")
        assert trusting.send(b"x") == Outcome()
        trusting.close()
        doubting = sender(endpoint, timeout="200ms")
        outcome = doubting.send(b"x")
        assert outcome.error_type == "connection_error"
        assert "certificate" in outcome.message
        doubting.close()
        thread.join()


def test_a_proxy_of_the_environment_is_used_unless_no_proxy_names_the_receiver(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", receiver.endpoint.replace("://", "://user:pass@"))
    sending = sender("http://collector.example")
    assert sending.send(b"x") == Outcome()
    assert receiver.requests[0].path == "http://collector.example/v1/traces"
    assert receiver.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
    sending.close()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    direct = sender(receiver.endpoint)
    assert direct.send(b"x") == Outcome()
    assert receiver.requests[1].path == "/v1/traces"
    direct.close()


def test_a_certificate_that_is_not_there_is_named(tmp_path: Path) -> None:
    told = Otlp.model_validate({"endpoint": "https://collector:4318", "certificate": tmp_path / "ca.pem"})
    with pytest.raises(OtelHealthError, match=r"there is no file .*ca\.pem; name a PEM file"):
        sender_for("traces", told)


def test_a_failure_and_the_recovery_are_said_once_and_all_is_counted(
    opened: Open, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "otelhealth")
    receiver.answer = Answer(400)
    telemetry = opened(traces={"delay": "10ms"}, metrics={"enabled": False})
    for number in range(1, 4):
        run(telemetry)
        receiver.wait_for(number)
    receiver.answer = Answer()
    run(telemetry)
    assert telemetry.close()
    assert caplog.messages == [
        "export of traces fails: answered 400; further failures are only counted",
        "export of traces works again",
    ]
    assert exported(telemetry, "otel.sdk.exporter.span.exported") == {"400": 3.0, None: 1.0}


def test_more_than_may_wait_is_lost_counted_and_told(
    opened: Open, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    telemetry = opened(traces={"max_queue": 10, "max_batch": 4, "delay": "60s"}, metrics={"enabled": False})
    for _ in range(15):
        run(telemetry)
    assert telemetry.close()
    assert len(receiver.spans()) == 10
    assert len(receiver.requests) == 3
    assert exported(telemetry, "otel.sdk.exporter.span.exported") == {"queue_full": 5.0, None: 10.0}
    assert "more waits than may wait (max_queue)" in caplog.text


def test_the_end_is_bounded_when_the_receiver_hangs(opened: Open, receiver: Receiver) -> None:
    receiver.answer = Answer(hang=True)
    telemetry = opened()
    run(telemetry)
    with telemetry.tracer_provider.get_tracer("user").start_as_current_span("inner"):
        pass
    began = time.monotonic()
    assert not telemetry.close(0.5)
    assert time.monotonic() - began < 5
    assert receiver.requests


def test_the_end_does_not_wait_for_a_receiver_that_is_not_there() -> None:
    told = {"otlp": {"endpoint": f"http://127.0.0.1:{unused_port()}"}}
    telemetry = Telemetry.open(TelemetrySettings.model_validate(told), Identity("shop"), environ={})
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
    telemetry = Telemetry.open(TelemetrySettings(), Identity("shop"), environ={})
    run(telemetry)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("otelhealth-")]
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


def test_the_body_of_a_compressed_request_is_gzip(receiver: Receiver) -> None:
    sending = sender(receiver.endpoint)
    assert sending.send(b"y" * 1000) == Outcome()
    assert receiver.requests[0].compressed == len(gzip.compress(b"y" * 1000, 1))
    sending.close()
