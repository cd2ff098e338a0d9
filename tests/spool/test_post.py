"""One request to its receiver: what its answer means, TLS, proxies, deadlines."""

from __future__ import annotations

import gzip
import socket
import threading
import time
from email.utils import formatdate

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from otelhealth.spool import Letter, Otlp
from otelhealth.spool.connection import Response
from otelhealth.spool.post import Post
from otelhealth.spool.verdict import Fate, Verdict
from otelhealth.telemetry.content import OtlpContent
from otelhealth.telemetry.wire import text
from tests.spool.secure import SecureReceiver
from tests.stack.loopback import unused_port
from tests.telemetry.receiver import Answer, Receiver

SENT = Verdict(Fate.SENT)


def post(endpoint: str, **told: object) -> Post:
    return Post(Otlp.model_validate({"endpoint": endpoint + "/v1/traces", "timeout": "30s"} | told), OtlpContent())


def letter(body: bytes = b"x") -> Letter:
    return Letter("traces", body, items=1)


def test_a_request_is_compressed_and_carries_its_headers_over_one_connection(receiver: Receiver) -> None:
    sending = post(receiver.endpoint, headers={"X-Tenant": "shop"})
    for _ in range(3):
        assert sending.attempt(letter(b"body" * 100).packed()) == SENT
    assert [request.body for request in receiver.requests] == [b"body" * 100] * 3
    assert len({request.peer for request in receiver.requests}) == 1
    assert receiver.requests[0].compressed < 100
    headers = receiver.requests[0].headers
    assert (headers["x-tenant"], headers["content-type"]) == ("shop", "application/x-protobuf")
    assert headers["user-agent"].startswith("otelhealth/")
    sending.close()


def test_a_receiver_that_says_so_gets_a_connection_for_each_request(receiver: Receiver) -> None:
    receiver.answer = Answer(headers={"connection": "close"})
    sending = post(receiver.endpoint)
    assert [sending.attempt(letter()) for _ in range(2)] == [SENT] * 2
    assert len({request.peer for request in receiver.requests}) == 2
    sending.close()


@pytest.mark.parametrize("status", [302, 307, 401, 403, 404, 407, 408, 429, 500, 502, 503, 504])
def test_an_answer_that_says_not_now_or_not_so_holds_the_request(receiver: Receiver, status: int) -> None:
    receiver.answer = Answer(status, {"location": f"{receiver.endpoint}/elsewhere"})
    sending = post(receiver.endpoint)
    verdict = sending.attempt(letter())
    assert (verdict.fate, verdict.error_type) == (Fate.HELD, str(status))
    assert str(status) in verdict.said
    assert verdict.remedy
    assert [request.path for request in receiver.requests] == ["/v1/traces"]
    sending.close()


@pytest.mark.parametrize("status", [400, 405, 410, 415, 422])
def test_an_answer_that_refuses_this_request_makes_it_undeliverable(receiver: Receiver, status: int) -> None:
    receiver.answer = Answer(status)
    sending = post(receiver.endpoint)
    assert sending.attempt(letter()).fate is Fate.POISON
    assert len(receiver.requests) == 1
    sending.close()


def test_a_request_that_is_too_large_is_to_be_split(receiver: Receiver) -> None:
    receiver.answer = Answer(413)
    sending = post(receiver.endpoint)
    assert sending.attempt(letter()).fate is Fate.SPLIT
    sending.close()


@pytest.mark.parametrize("status", [400, 415])
def test_where_gzip_is_refused_it_is_sent_without_and_so_from_then_on(receiver: Receiver, status: int) -> None:
    receiver.answers = [Answer(status)]
    sending = post(receiver.endpoint)
    assert [sending.attempt(letter(b"body").packed()) for _ in range(2)] == [SENT] * 2
    assert [request.headers.get("content-encoding") for request in receiver.requests] == ["gzip", None, None]
    assert [request.body for request in receiver.requests] == [b"body"] * 3
    sending.close()


def test_what_is_refused_without_gzip_too_is_undeliverable_and_says_the_receivers_reason(receiver: Receiver) -> None:
    receiver.answer = Answer(400, body=text(2, "bad\nspan of http://user:s3cret@host"))
    sending = post(receiver.endpoint)
    verdict = sending.attempt(letter().packed())
    assert verdict.fate is Fate.POISON
    assert verdict.said == "the receiver answered 400 (bad span of http://***@host)"
    assert len(receiver.requests) == 2
    sending.close()


@pytest.mark.parametrize(
    ("asked", "least", "most"), [("30", 30, 30), ("0.5", 0.5, 0.5), ("86400", 3600, 3600), ("-1", 0, 0)]
)
def test_the_seconds_that_a_receiver_asks_for_are_told_up_to_an_hour(
    receiver: Receiver, asked: str, least: float, most: float
) -> None:
    receiver.answer = Answer(503, {"retry-after": asked})
    sending = post(receiver.endpoint)
    assert least <= sending.attempt(letter()).pause <= most
    sending.close()


def test_a_date_to_come_back_at_is_told_in_seconds(receiver: Receiver) -> None:
    receiver.answer = Answer(429, {"retry-after": formatdate(time.time() + 1000, usegmt=True)})
    sending = post(receiver.endpoint)
    assert 900 < sending.attempt(letter()).pause <= 1000
    sending.close()


def test_a_time_to_come_back_that_cannot_be_read_is_none() -> None:
    response = Response()
    response.on_header(b"Retry-After", b"later")
    assert response.retry_after() == 0.0


def test_a_partial_success_counts_what_was_rejected(receiver: Receiver) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=3, error_message="too old")
    receiver.answer = Answer(body=ExportTraceServiceResponse(partial_success=partial).SerializeToString())
    sending = post(receiver.endpoint)
    assert sending.attempt(letter()) == Verdict(Fate.SENT, said="too old", rejected=3)
    sending.close()


def test_nobody_there_is_a_refused_connection_and_says_where() -> None:
    port = unused_port()
    sending = post(f"http://127.0.0.1:{port}")
    verdict = sending.attempt(letter())
    assert verdict.error_type == "connection_refused"
    assert verdict.said == f"127.0.0.1:{port} refuses the connection"
    sending.close()


@pytest.mark.parametrize("answer", [Answer(hang=True), Answer(trickle=0.02)], ids=["hangs", "trickles"])
def test_one_deadline_holds_for_the_whole_request(receiver: Receiver, answer: Answer) -> None:
    receiver.answer = answer
    sending = post(receiver.endpoint, timeout="200ms")
    assert sending.attempt(letter()).error_type == "timeout"
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
        sending = post(f"http://127.0.0.1:{server.getsockname()[1]}")
        assert sending.attempt(letter()).error_type == "connection_error"
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
        sending = post(f"http://127.0.0.1:{server.getsockname()[1]}")
        assert [sending.attempt(letter()) for _ in range(3)] == [SENT] * 3
        thread.join()
        sending.close()


def tunnel(server: socket.socket, answer: bytes, heads: list[bytes], done: threading.Event) -> None:
    """A proxy for one CONNECT: answers it, and on success passes bytes on until all is done."""
    peer, _ = server.accept()
    with peer:
        heads.append(peer.recv(65536))
        peer.sendall(answer)
        if b" 2" not in answer:
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
        (b"HTTP/1.1 200 Connection established\r\n\r\n", "", ""),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "", ""),
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "connection_error",
            "the proxy answered 407 to CONNECT",
        ),
    ],
    ids=["lets through", "lets through in another word", "refuses"],
)
def test_tls_goes_through_a_tunnel_of_the_proxy(
    secure: SecureReceiver, monkeypatch: pytest.MonkeyPatch, answer: bytes, error_type: str, message: str
) -> None:
    heads: list[bytes] = []
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=tunnel, args=(server, answer, heads, done), daemon=True)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://user:pass@127.0.0.1:{server.getsockname()[1]}")
        sending = post(f"https://127.0.0.1:{secure.port}", certificate=secure.ca)
        verdict = sending.attempt(letter())
        done.set()
        thread.join()
        sending.close()
    assert (verdict.error_type, verdict.said) == (error_type, message)
    assert heads[0].startswith(f"CONNECT 127.0.0.1:{secure.port} HTTP/1.1\r\n".encode())
    assert b"proxy-authorization: Basic dXNlcjpwYXNz" in heads[0]


def test_an_ipv6_receiver_stands_in_brackets_in_a_tunnel(monkeypatch: pytest.MonkeyPatch) -> None:
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        refusal = b"HTTP/1.1 403 Forbidden\r\n\r\n"
        thread = threading.Thread(target=tunnel, args=(server, refusal, heads, threading.Event()), daemon=True)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        sending = post("https://[2001:db8::1]:4318")
        sending.attempt(letter())
        thread.join()
        sending.close()
    assert heads[0].startswith(b"CONNECT [2001:db8::1]:4318 HTTP/1.1\r\nhost: [2001:db8::1]:4318\r\n")


def test_a_proxy_of_the_environment_is_used_unless_no_proxy_names_the_receiver(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", receiver.endpoint.replace("://", "://user:pass@"))
    sending = post("http://collector.example")
    assert sending.attempt(letter()) == SENT
    assert receiver.requests[0].path == "http://collector.example/v1/traces"
    assert receiver.requests[0].headers["proxy-authorization"] == "Basic dXNlcjpwYXNz"
    sending.close()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    direct = post(receiver.endpoint)
    assert direct.attempt(letter()) == SENT
    assert receiver.requests[1].path == "/v1/traces"
    direct.close()


def test_the_body_of_a_compressed_request_is_gzip(receiver: Receiver) -> None:
    sending = post(receiver.endpoint)
    assert sending.attempt(letter(b"y" * 1000).packed()) == SENT
    assert receiver.requests[0].compressed == len(gzip.compress(b"y" * 1000, 1))
    sending.close()
