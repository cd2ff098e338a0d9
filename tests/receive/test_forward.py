"""What comes in goes on: unaltered, once it is on disk, through outages; and what is read of it on the way."""

from __future__ import annotations

import asyncio
import gzip
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otelhealth import agent
from otelhealth.telemetry.distribution import Explicit
from tests.receive.agents import JSON, PROTOBUF, status_of, taking
from tests.receive.telling import Told, logs, traces
from tests.telemetry.receiver import Answer, Receiver, Request
from tests.waiting import until

METRICS = Told().requests(Explicit((0.1, 1.0), (3, 1, 0)), sum=1.0)


@pytest.fixture
def upstream() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.mark.parametrize(
    ("signal", "body", "content_type", "encoding"),
    [
        ("traces", traces(3), PROTOBUF, ""),
        ("metrics", gzip.compress(METRICS.protobuf(), 9), PROTOBUF, "gzip"),
        ("logs", gzip.compress(logs(), 1) + gzip.compress(logs()), f"{PROTOBUF}; v=1", "GZIP"),
        ("metrics", METRICS.json(), f"{JSON}; charset=utf-8", "identity"),
        ("traces", b'{ "resourceSpans" : [ ] }\n', JSON, ""),
        ("logs", b"", PROTOBUF, ""),
    ],
    ids=["protobuf", "gzip", "two gzip members", "json", "json as somebody wrote it", "nothing"],
)
async def test_what_comes_in_goes_on_byte_by_byte(  # noqa: PLR0913, PLR0917 - a request, as it stands on the wire
    tmp_path: Path, upstream: Receiver, signal: str, body: bytes, content_type: str, encoding: str
) -> None:
    ours = {"headers": {"authorization": "Bearer upstream", "x-tenant": "7"}}
    sent = {"authorization": "Bearer mine", "cookie": "a=b", "x-tenant": "8", "te": "trailers"}
    if encoding:
        sent["content_encoding"] = encoding
    async with taking(tmp_path, upstream.endpoint, otlp=ours) as to:
        reply = await to.post(signal, body, content_type, **sent)
        assert (reply.status, reply.headers["content-type"]) == (200, content_type.partition(";")[0])
        assert reply.body == (b"{}" if JSON in content_type else b"")
        await until(lambda: arrived(upstream, signal, body))
    [request] = arrived(upstream, signal, body)
    assert request.headers["content-type"] == content_type
    assert request.headers.get("content-encoding", "") == ("gzip" if encoding.lower() == "gzip" else "")
    assert (request.headers["authorization"], request.headers["x-tenant"]) == ("Bearer upstream", "7")
    assert {"cookie", "te"} & request.headers.keys() == set()


def arrived(upstream: Receiver, signal: str, body: bytes) -> list[Request]:
    return [each for each in list(upstream.requests) if (each.path, each.raw) == (f"/v1/{signal}", body)]


async def test_what_was_answered_outlives_the_death_of_everything(tmp_path: Path, upstream: Receiver) -> None:
    """Of the collector first, then of the agent: it is on disk when it is answered."""
    upstream.answer = Answer(status=503)
    async with taking(tmp_path, upstream.endpoint) as to:
        assert (await to.post("traces", traces(5))).status == 200
        assert to.agent.telemetry.spool is not None
        assert to.agent.telemetry.spool.queue.used("traces")[0] == 1
    upstream.answer = Answer()
    upstream.requests.clear()
    async with taking(tmp_path, upstream.endpoint):
        await until(lambda: arrived(upstream, "traces", traces(5)))


async def test_a_hundred_senders_at_once_are_all_kept_and_each_once(tmp_path: Path, upstream: Receiver) -> None:
    bodies = [traces(number) for number in range(1, 101)]
    async with taking(tmp_path, upstream.endpoint) as to:
        replies = await asyncio.gather(*(to.post("traces", body) for body in bodies))
        assert {reply.status for reply in replies} == {200}
        await until(lambda: len(upstream.requests) >= len(bodies))
    came = sorted(request.raw for request in upstream.requests if request.path == "/v1/traces")
    assert came == sorted(bodies)


async def test_a_full_spool_sends_the_sender_away_until_there_is_room(tmp_path: Path, upstream: Receiver) -> None:
    upstream.answer = Answer(status=503, headers={"retry-after": "1"})
    large = os.urandom(300_000)
    body = b"\x1a" + bytes((len(large) & 127 | 128, len(large) >> 7 & 127 | 128, len(large) >> 14)) + large
    kept = 0
    async with taking(tmp_path, upstream.endpoint, otlp={"spool": {"max_size": "1MiB"}}) as to:
        while (reply := await to.post("logs", body)).status == 200:
            kept += 1
        assert (reply.status, kept) == (503, 2)
        assert int(reply.headers["retry-after"]) >= 1
        assert status_of(reply) == {"code": 14, "message": "the spool is full: what it holds is delivered first"}
        assert to.record["refused"] == {"503": 1}
        upstream.answer = Answer()
        upstream.requests.clear()
        await until(lambda: len(arrived(upstream, "logs", body)) >= kept)

        async def taken() -> bool:
            return (await to.post("logs", body)).status == 200

        await until(taken)
        await until(lambda: len(arrived(upstream, "logs", body)) == kept + 1)


async def test_without_an_endpoint_it_reads_and_lets_go_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with taking(tmp_path) as to:
        assert (await to.post("metrics", METRICS.protobuf())).status == 200
        assert (await to.post("metrics", METRICS.json(), JSON)).status == 200
        assert (await to.post("traces", traces())).status == 200
        await until(lambda: to.requests == 8)
        assert to.record["forwarded"] == []
        assert to.record["requests"] == {"traces": 1, "metrics": 2, "logs": 0}
        families = {family.name: family for family in to.agent.telemetry.families()}
        points = {point.attributes: point.value for point in families["otelhealth.receiver.requests"].points}
        assert points[("otelhealth.signal", "metrics"), ("otelhealth.outcome", "discarded")] == 2
    assert "received traces, metrics, logs are read and let go: no endpoint is set for them" in caplog.text


async def test_a_signal_that_does_not_leave_is_let_go(tmp_path: Path, upstream: Receiver) -> None:
    async with taking(tmp_path, upstream.endpoint, logs={"enabled": False}) as to:
        assert to.record["forwarded"] == ["traces", "metrics"]
        assert (await to.post("logs", logs())).status == 200
        assert (await to.post("traces", traces())).status == 200
        await until(lambda: arrived(upstream, "traces", traces()))
    assert [request.path for request in upstream.requests if request.path == "/v1/logs"] == []


async def test_the_real_requests_are_the_performance_of_the_service(tmp_path: Path) -> None:
    failures = {"http.response.status_code": 502}
    told = Told().requests(Explicit((0.1, 1.0), (60, 20, 0))).requests(Explicit((1.0,), (0, 20)), attributes=failures)
    async with taking(tmp_path) as to:
        await to.post("metrics", gzip.compress(told.protobuf()), content_encoding="gzip")
        await until(lambda: to.requests == 100)
        performance = to.agent.report()["performance"]
    assert performance["source"] == "application"
    assert performance["error_rates"]["rate_1min"] == 20.0
    assert 0 < performance["response_times"]["p50_ms"] <= 100.5
    assert 995 <= performance["response_times"]["p99_ms"] <= 1005


async def test_what_comes_back_by_a_name_that_nobody_knew_is_refused_and_said(
    tmp_path: Path, upstream: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """As through a DNS alias or a proxy: here a relay that passes everything on to the agent."""
    async with taking(tmp_path, upstream.endpoint) as to:
        assert (await to.post("traces", traces(2))).status == 200
        await until(lambda: arrived(upstream, "traces", traces(2)))
        [request] = arrived(upstream, "traces", traces(2))
        mark = request.headers["x-otelhealth-mark"]
        refused = await to.post("traces", traces(2), x_otelhealth_mark=mark)
        assert refused.status == 403
        assert "the endpoint leads back to this agent itself" in status_of(refused)["message"]
        upstream.answer = Answer(403, {"content-type": PROTOBUF}, refused.body)
        assert (await to.post("traces", traces(3))).status == 200
        await until(lambda: "the endpoint leads back to this agent itself" in caplog.text)


async def test_at_its_end_it_takes_what_a_sender_that_stops_still_has(
    tmp_path: Path, upstream: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a connection that was open before, and of a new one; then it ends at once."""
    monkeypatch.setattr(agent, "LINGERING", 60.0)
    async with taking(tmp_path, upstream.endpoint) as to:
        reader, writer = await asyncio.open_connection(to.address.host, to.address.port)
        ending = asyncio.ensure_future(to.agent.__aexit__(None, None, None))
        await until(lambda: to.agent.evaluate() and to.agent.report()["draining"])
        assert (await to.post("traces", traces(3))).status == 200
        body = traces(4)
        head = f"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: {PROTOBUF}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
        begun = time.monotonic()
        await ending
        assert time.monotonic() - begun < 30
    assert arrived(upstream, "traces", traces(3))
    assert arrived(upstream, "traces", traces(4))


async def test_a_sender_that_stays_connected_does_not_keep_it(tmp_path: Path) -> None:
    async with taking(tmp_path) as to:
        _, writer = await asyncio.open_connection(to.address.host, to.address.port)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    writer.close()
