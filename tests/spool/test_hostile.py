"""Receivers that mean harm, and settings no request can be made of: an export thread outlives both."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
from collections.abc import Iterator

import pytest
from pydantic import ValidationError

from otelhealth.config.load import from_mapping
from otelhealth.errors import OtelHealthError
from otelhealth.spool import Letter, Otlp
from otelhealth.spool.post import Post
from otelhealth.spool.verdict import Fate
from otelhealth.telemetry import TelemetrySettings
from otelhealth.telemetry.content import OtlpContent, rejected
from otelhealth.telemetry.export import Ledger
from otelhealth.telemetry.sender import Outcome

LETTER = Letter("traces", b"x", items=1)


def post(endpoint: str, timeout: str = "30s") -> Post:
    return Post(Otlp.model_validate({"endpoint": endpoint, "timeout": timeout}), OtlpContent())


@contextlib.contextmanager
def answering(head: bytes, forever: bytes) -> Iterator[str]:
    """A receiver that answers `head`, and then `forever` as long as anyone listens; its URL."""

    def answer() -> None:
        with contextlib.suppress(OSError):
            while True:
                peer, _ = server.accept()
                with peer, contextlib.suppress(OSError):
                    peer.recv(65536)
                    peer.sendall(head)
                    while forever:
                        peer.sendall(forever)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    ("head", "forever"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n" * 10_000),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y" * 60_000),
        (b"HTTP/1.1 200 OK\r\n\r\n", b"y" * 60_000),
    ],
    ids=["headers", "header", "body"],
)
def test_an_answer_without_end_is_given_up_by_its_size_and_not_by_the_deadline(head: bytes, forever: bytes) -> None:
    with answering(head, forever) as url:
        verdict = post(url, "20s").attempt(LETTER)
    assert (verdict.fate, verdict.error_type) == (Fate.HELD, "connection_error")
    assert verdict.said == "the answer is larger than 1 MiB"


def test_behind_an_interim_answer_the_other_is_waited_for() -> None:
    with answering(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", b"") as url:
        assert post(url).attempt(LETTER).error_type == "connection_reset"
    with answering(b"HTTP/1.1 103 Early Hints\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as url:
        sending = post(url)
        assert sending.attempt(LETTER).fate is Fate.SENT
        sending.close()


@pytest.mark.parametrize(
    ("head", "error_type"),
    [
        (b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n", "connection_error"),
        (b"HTTP/1.1 302 Found\r\nlocation: http://[::\r\ncontent-length: 0\r\n\r\n", "302"),
    ],
    ids=["another protocol", "to no URL"],
)
def test_an_answer_that_leads_elsewhere_holds_the_request(head: bytes, error_type: str) -> None:
    with answering(head, b"") as url:
        sending = post(url)
        verdict = sending.attempt(LETTER)
        sending.close()
    assert (verdict.fate, verdict.error_type) == (Fate.HELD, error_type)


@pytest.mark.parametrize("head", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n{}"])
def test_an_answer_without_a_length_ends_with_its_connection(head: bytes) -> None:
    with answering(head, b"") as url:
        assert post(url).attempt(LETTER).fate is Fate.SENT


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n",
    ],
    ids=["headers", "length", "chunks"],
)
def test_an_answer_that_breaks_off_is_none(head: bytes) -> None:
    with answering(head, b"") as url:
        assert post(url).attempt(LETTER).error_type == "connection_reset"


def test_a_number_without_end_in_an_answer_is_no_number() -> None:
    assert rejected(b"\xff" * 2**20) == (0, "")


def test_what_a_receiver_says_is_logged_as_one_short_line(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "otelhealth"):
        Ledger("traces", lambda _problem, _count: None).enter(Outcome(rejected=1, message="a\nFORGED\x1b[2J" * 1000), 1)
    [message] = caplog.messages
    assert message.startswith("export of traces fails: a FORGED [2Ja FORGED")
    assert len(message) < 400


def test_a_name_that_cannot_be_one_is_a_failed_connection() -> None:
    sending = post("http://collector..example:4318")
    assert sending.attempt(LETTER).said == "collector..example is not a host name"
    sending.close()


@pytest.mark.parametrize("proxy", ["http://user:s3cret@proxy:port", "http://user:s3cret@:3128", "http://proxy:0"])
def test_a_proxy_that_is_no_url_is_refused_before_anything_is_sent(proxy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(OtelHealthError, match="the proxy of HTTP_PROXY is not a URL; write one such as") as raised:
        post("http://collector.example:4318")
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ({"endpoint": "http://user:s3cret@collector:4318"}, "an OTLP endpoint holds no credentials"),
        ({"endpoint": "user:s3cret@collector:4318"}, "an OTLP endpoint holds no credentials"),
        ({"endpoint": "http://collector:99999"}, "the port or host of this URL cannot be read"),
        ({"endpoint": "http://collector/a b"}, "a URL holds no spaces"),
        ({"endpoint": "http://collector/é"}, "an OTLP endpoint is written in ASCII"),
        ({"endpoint": "http://collector", "headers": {"a": "s3cret\r\nx: y"}}, "holds a line break"),
        ({"endpoint": "http://collector", "headers": {"a": "s3cret€"}}, "a character that HTTP cannot carry"),
        ({"endpoint": "http://collector", "headers": {"content-length": "s3cret"}}, "is set by otelhealth"),
    ],
)
def test_what_no_request_can_be_made_of_is_refused_without_showing_it(told: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence) as raised:
        TelemetrySettings.model_validate({"otlp": told})
    assert "s3cret" not in str(raised.value)


def test_credentials_in_a_variable_are_not_said(caplog: pytest.LogCaptureFixture) -> None:
    told = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "user:s3cret@collector:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=s3cret%0D%0Ax: y",
    }
    with caplog.at_level(logging.WARNING, "otelhealth"):
        assert from_mapping({}, told).telemetry == TelemetrySettings()
    assert len(caplog.messages) == 2
    assert "s3cret" not in caplog.text
