"""One request to its receiver: what is retried, what is a loss, TLS, proxies, deadlines."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path

import pytest
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from otelhealth.errors import OtelHealthError
from otelhealth.telemetry.connection import Reply
from otelhealth.telemetry.sender import Outcome
from otelhealth.telemetry.settings import Otlp
from otelhealth.telemetry.transport import HttpSender, sender_for
from tests.telemetry.receiver import Answer, Receiver


def sender(endpoint: str, **told: object) -> HttpSender:
    return HttpSender(Otlp.model_validate({"endpoint": endpoint + "/v1/traces", "timeout": "3s"} | told))


def unused_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_request_is_compressed_and_carries_its_headers_over_one_connection(receiver: Receiver) -> None:
    sending = sender(receiver.endpoint, headers={"X-Tenant": "shop"})
    for _ in range(3):
        assert sending.send(b"body" * 100) == Outcome()
    assert [request.body for request in receiver.requests] == [b"body" * 100] * 3
    assert len({request.peer for request in receiver.requests}) == 1
    assert receiver.requests[0].compressed < 100
    headers = receiver.requests[0].headers
    assert (headers["x-tenant"], headers["content-type"]) == ("shop", "application/x-protobuf")
    assert headers["user-agent"].startswith("otelhealth/")
    sending.close()


def test_a_receiver_that_says_so_gets_a_connection_for_each_request(receiver: Receiver) -> None:
    receiver.answer = Answer(headers={"connection": "close"})
    sending = sender(receiver.endpoint)
    assert [sending.send(b"x") for _ in range(2)] == [Outcome()] * 2
    assert len({request.peer for request in receiver.requests}) == 2
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


def test_a_date_to_come_back_at_is_waited_for(receiver: Receiver) -> None:
    receiver.answers = [Answer(503, {"retry-after": formatdate(time.time() + 1, usegmt=True)})]
    sending = sender(receiver.endpoint)
    assert sending.send(b"x") == Outcome()
    assert len(receiver.requests) == 2
    sending.close()


def test_a_time_to_come_back_that_cannot_be_read_is_none() -> None:
    reply = Reply()
    reply.on_header(b"Retry-After", b"later")
    assert reply.retry_after() == 0.0


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


class SecureReceiver:
    """Answers 200 over TLS with a certificate of its own authority, one request on each connection."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        self.ca = folder / "ca.pem"
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        authority.issue_cert("127.0.0.1").configure_cert(self._context)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._thread = threading.Thread(target=self._answer, daemon=True)
        self._thread.start()

    def _answer(self) -> None:
        while True:
            try:
                peer, _ = self._server.accept()
            except OSError:
                return
            try:
                with self._context.wrap_socket(peer, server_side=True) as secure:
                    secure.recv(65536)
                    secure.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            except (ssl.SSLError, OSError):
                peer.close()

    def close(self) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join()


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[SecureReceiver]:
    found = SecureReceiver(tmp_path)
    yield found
    found.close()


def test_a_receiver_with_a_certificate_of_its_own_is_checked_against_the_named_ca(secure: SecureReceiver) -> None:
    endpoint = f"https://127.0.0.1:{secure.port}"
    trusting = sender(endpoint, certificate=secure.ca)
    assert trusting.send(b"x") == Outcome()
    trusting.close()
    doubting = sender(endpoint, timeout="200ms")
    outcome = doubting.send(b"x")
    assert outcome.error_type == "connection_error"
    assert "certificate" in outcome.message
    doubting.close()


def tunnel(server: socket.socket, answer: bytes, heads: list[bytes], done: threading.Event) -> None:
    """A proxy for one CONNECT: answers it, and on success passes bytes on until all is done."""
    peer, _ = server.accept()
    with peer:
        heads.append(peer.recv(65536))
        peer.sendall(answer)
        if b"200" not in answer:
            return
        host, port = heads[0].split(b" ")[1].decode().split(":")
        with socket.create_connection((host, int(port))) as target:
            for source, sink in ((target, peer), (peer, target)):
                threading.Thread(target=pump, args=(source, sink), daemon=True).start()
            done.wait(30)


def pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        return


@pytest.mark.parametrize(
    ("answer", "error_type", "message"),
    [
        (b"HTTP/1.1 200 Connection established\r\n\r\n", None, ""),
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "connection_error",
            "the proxy answered 407 to CONNECT",
        ),
    ],
    ids=["lets through", "refuses"],
)
def test_tls_goes_through_a_tunnel_of_the_proxy(
    secure: SecureReceiver, monkeypatch: pytest.MonkeyPatch, answer: bytes, error_type: str | None, message: str
) -> None:
    heads: list[bytes] = []
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=tunnel, args=(server, answer, heads, done), daemon=True)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://user:pass@127.0.0.1:{server.getsockname()[1]}")
        sending = sender(f"https://127.0.0.1:{secure.port}", certificate=secure.ca, timeout="800ms")
        outcome = sending.send(b"x")
        done.set()
        thread.join()
        sending.close()
    assert outcome == Outcome(error_type, message)
    assert heads[0].startswith(f"CONNECT 127.0.0.1:{secure.port} HTTP/1.1\r\n".encode())
    assert b"proxy-authorization: Basic dXNlcjpwYXNz" in heads[0]


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


def test_the_body_of_a_compressed_request_is_gzip(receiver: Receiver) -> None:
    sending = sender(receiver.endpoint)
    assert sending.send(b"y" * 1000) == Outcome()
    assert receiver.requests[0].compressed == len(gzip.compress(b"y" * 1000, 1))
    sending.close()
