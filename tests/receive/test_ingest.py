"""OTLP over real sockets into a real agent: what is taken, what is refused and how, and what goes on unaltered."""

from __future__ import annotations

import asyncio
import gzip
import os
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelhealth import Agent
from otelhealth.address import Address
from otelhealth.config.load import load
from otelhealth.errors import OtelHealthError
from otelhealth.telemetry.distribution import Explicit
from tests.receive.agents import JSON, PROTOBUF, status_of, taking
from tests.receive.telling import BOUNDS, Told
from tests.server.agent import Plain, parse
from tests.telemetry.receiver import Answer, Receiver, Request
from tests.waiting import until

METRICS = Told().requests(Explicit((0.1, 1.0), (3, 1, 0)), sum=1.0)
TOKEN = "0123456789abcdef"
GZIP = {"content_encoding": "gzip"}


def traces(count: int = 1) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(count):
        scope.spans.add(name=f"GET /items/{number}", trace_id=bytes(16), span_id=number.to_bytes(8, "big"))
    return bytes(request.SerializeToString())


def logs() -> bytes:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO")
    return bytes(request.SerializeToString())


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

        async with asyncio.timeout(10):
            while not await taken():
                await asyncio.sleep(0.05)
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


@pytest.mark.parametrize(
    ("told", "status", "message"),
    [
        ({"content_encoding": "zstd"}, 415, "neither gzip nor identity"),
        ({"content_encoding": "deflate"}, 415, "neither gzip nor identity"),
        ({"content_encoding": "gzip, gzip"}, 415, "neither gzip nor identity"),
        ({"content_encoding": "gzip"}, 400, "the body is not gzip"),
        ({"body": gzip.compress(traces())[:-4], "content_encoding": "gzip"}, 400, "gzip of the body is cut off"),
        ({"body": gzip.compress(b"") * 30, "content_encoding": "gzip"}, 400, "too many members"),
        ({"body": traces(2)[:-3]}, 400, "this is no OTLP request for traces: a field reaches beyond its message"),
        ({"content_type": "text/plain"}, 415, "neither application/x-protobuf nor application/json"),
        ({"content_type": ""}, 415, "neither application/x-protobuf nor application/json"),
        ({"content_type": JSON}, 400, "this is no OTLP request for traces"),
        ({"signal": "profiles"}, 404, "/v1/traces, /v1/metrics, /v1/logs"),
        ({"origin": "https://evil.example"}, 403, "another origin"),
        ({"host": "evil.example"}, 403, "only direct clients on this machine"),
        ({"x_forwarded_for": "127.0.0.1"}, 403, "only direct clients on this machine"),
    ],
)
async def test_what_is_not_taken_is_told_why_in_its_own_encoding(
    tmp_path: Path, told: dict[str, Any], status: int, message: str
) -> None:
    sent = {"signal": "traces", "body": traces(), **told}
    async with taking(tmp_path) as to:
        reply = await to.post(**sent)
        assert to.record["refused"] == {str(status): 1}
    assert reply.status == status
    assert message in status_of(reply)["message"]
    assert reply.headers["content-type"] == (JSON if sent.get("content_type", PROTOBUF) != PROTOBUF else PROTOBUF)
    assert "retry-after" not in reply.headers


async def test_what_comes_back_by_a_name_that_nobody_knew_is_refused_and_said(
    tmp_path: Path, upstream: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """As through a DNS alias or a proxy: here a relay that passes everything on to the agent."""
    async with taking(tmp_path, upstream.endpoint) as to:
        assert (await to.post("traces", traces(2))).status == 200
        await until(lambda: arrived(upstream, "traces", traces(2)))
        [request] = arrived(upstream, "traces", traces(2))
        mark = request.headers["x-otelhealth-instance"]
        refused = await to.post("traces", traces(2), x_otelhealth_instance=mark)
        assert refused.status == 403
        assert "the endpoint leads back to this agent itself" in status_of(refused)["message"]
        upstream.answer = Answer(403, {"content-type": PROTOBUF}, refused.body)
        assert (await to.post("traces", traces(3))).status == 200
        await until(lambda: "the endpoint leads back to this agent itself" in caplog.text)


async def test_no_more_senders_than_the_limit_are_connected(tmp_path: Path) -> None:
    async with taking(tmp_path, limits={"connections": 10}) as to:
        others = [await asyncio.open_connection(to.address.host, to.address.port) for _ in range(30)]
        assert (await to.post("traces", traces())).status == 200
        closed = [reader for reader, _ in others if reader.at_eof()]
        assert len(closed) >= 20
        for _, writer in others:
            writer.close()


def test_the_address_can_be_set_by_a_variable(tmp_path: Path) -> None:
    (tmp_path / "o.yaml").write_text("checks: {}")
    config = load(tmp_path / "o.yaml", {"OTELHEALTH_TELEMETRY__RECEIVE": "127.0.0.1:0"})
    assert config.telemetry.receiving is not None
    limited = load(tmp_path / "o.yaml", {"OTELHEALTH_TELEMETRY__RECEIVE__LIMITS__RATE": "7"}).telemetry.receiving
    assert limited is not None
    assert (limited.listen, limited.limits.rate) == ("127.0.0.1:4318", 7)


async def test_only_post_is_served(tmp_path: Path) -> None:
    async with taking(tmp_path) as to:
        reply = await to.ask("/v1/traces", "GET")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")


async def test_with_tokens_this_machine_needs_none_and_others_one(tmp_path: Path) -> None:
    async with taking(tmp_path, auth={"tokens": [TOKEN]}) as to:
        assert (await to.post("traces", traces())).status == 200
        elsewhere = {"x_forwarded_for": "192.0.2.7"}
        refused = await to.post("traces", traces(), **elsewhere)
        assert (refused.status, status_of(refused)["code"]) == (401, 16)
        assert (await to.post("traces", traces(), authorization="Bearer wrong", **elsewhere)).status == 401
        assert (await to.post("traces", traces(), authorization=f"Bearer {TOKEN}", **elsewhere)).status == 200
    assert TOKEN not in str(refused)


@pytest.mark.parametrize("packed", [False, True])
async def test_a_body_is_bounded_as_it_comes_and_unpacked(tmp_path: Path, packed: bool) -> None:
    fits, larger = traces(60), traces(200)
    async with taking(tmp_path, limits={"body_size": f"{len(fits)}B"}) as to:
        sent = {"content_encoding": "gzip"} if packed else {}
        assert (await to.post("traces", gzip.compress(fits) if packed else fits, **sent)).status == 200
        reply = await to.post("traces", gzip.compress(larger) if packed else larger, **sent)
        assert (reply.status, "body_size" in status_of(reply)["message"]) == (413, True)
        assert to.record["refused"] == {"413": 1}


async def test_a_zip_bomb_is_refused_in_no_time_and_no_memory(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join([packer.compress(bytes(2**20)) for _ in range(200)]) + packer.flush()
    assert len(bomb) < 2**19
    async with taking(tmp_path) as to:
        before = psutil.Process().memory_info().rss
        reply = await to.post("logs", bomb, content_encoding="gzip")
        assert psutil.Process().memory_info().rss - before < 100 * 2**20
    assert (reply.status, status_of(reply)["code"]) == (413, 3)


async def test_more_requests_than_the_rate_are_told_to_come_again(tmp_path: Path) -> None:
    async with taking(tmp_path, limits={"rate": 3}) as to:
        replies = [await to.post("traces", traces()) for _ in range(10)]
        statuses = [reply.status for reply in replies]
        assert statuses[:3] == [200] * 3
        refused = replies[statuses.index(429)]
        assert (refused.headers["retry-after"], status_of(refused)["code"]) == ("1", 8)

        async def taken() -> bool:
            return (await to.post("traces", traces())).status == 200

        async with asyncio.timeout(10):
            while not await taken():
                await asyncio.sleep(0.05)


async def test_more_bodies_at_once_than_there_is_room_for_are_told_to_come_again(tmp_path: Path) -> None:
    head = b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n"
    half = head + b"content-length: 900000\r\n\r\n" + bytes(800_000)
    async with taking(tmp_path, limits={"in_flight": "1MiB", "body_time": "60s"}) as to:
        _, first = await asyncio.open_connection(to.address.host, to.address.port)
        first.write(half)
        await first.drain()

        async def refused() -> bool:
            reply = parse(await to.send(head + b"content-length: 700000\r\nconnection: close\r\n\r\n" + bytes(700_000)))
            return (reply.status, reply.headers.get("retry-after")) == (503, "1")

        async with asyncio.timeout(10):
            while not await refused():
                await asyncio.sleep(0.05)
        assert (await to.post("traces", traces())).status == 200
        first.close()
        await until(lambda: to.record["requests"]["traces"] > 0)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"POST /v1/traces HTTP/1.1\r\ncontent-type: application/json\r\nx: " + b"a" * 100_000, 431),
        (b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n", 413),
        (b"POST /v1/traces HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{", 408),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
    ],
    ids=["headers", "announced", "half", "tls"],
)
async def test_what_the_connection_itself_refuses_is_told_as_otlp_tells_it(
    tmp_path: Path, raw: bytes, status: int
) -> None:
    async with taking(tmp_path, limits={"body_time": "200ms"}) as to:
        reply = parse(await to.send(raw))
        assert to.record["refused"] == {str(status): 1}
    assert (reply.status, reply.headers["content-type"]) == (status, JSON)
    assert set(reply.json) == {"code", "message"}


async def test_a_sender_that_leaves_in_the_middle_costs_nothing(tmp_path: Path) -> None:
    async with taking(tmp_path) as to:
        for _ in range(20):
            _, writer = await asyncio.open_connection(to.address.host, to.address.port)
            writer.write(b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n")
            writer.write(b"content-length: 100\r\n\r\nhalf")
            await writer.drain()
            writer.transport.abort()
        assert (await to.post("traces", traces())).status == 200
        assert to.record["refused"] == {}


async def test_a_large_body_does_not_hold_up_the_health_endpoints(tmp_path: Path) -> None:
    """4 MB, packed, in both encodings: what is read of it is read elsewhere."""
    told = Told()
    for number in range(3000):
        told.requests(Explicit(BOUNDS, (number,) * 15), attributes={"http.route": f"/items/{number}"})
    bodies = [(told.protobuf(), PROTOBUF), (told.json()[: 4 * 2**20], JSON)]
    async with taking(tmp_path) as to:
        live = Plain(Address.parse(to.agent.url.removeprefix("http://")))
        slowest = 0.0
        sending = [
            asyncio.ensure_future(to.post("metrics", gzip.compress(body, 1), kind, content_encoding="gzip"))
            for body, kind in bodies
            for _ in range(3)
        ]
        while not all(each.done() for each in sending):
            begun = time.monotonic()
            assert (await live.ask("/health/live")).status == 200
            slowest = max(slowest, time.monotonic() - begun)
        assert {each.result().status for each in sending} <= {200, 400}
    assert slowest < 1.0


_sent = st.tuples(st.binary(max_size=200), st.sampled_from((PROTOBUF, JSON)), st.sampled_from(({}, GZIP)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=10, deadline=None)
@given(st.lists(_sent, max_size=20))
def test_whatever_is_sent_is_answered_and_the_next_one_is_served(
    tmp_path: Path, sent: list[tuple[bytes, str, dict[str, str]]]
) -> None:
    async def main() -> None:
        async with taking(tmp_path) as to:
            for body, kind, told in sent:
                for signal in ("traces", "metrics", "logs"):
                    assert (await to.post(signal, body, kind, **told)).status in (200, 400)
            assert (await to.post("traces", traces())).status == 200

    asyncio.run(main())


async def test_a_taken_address_is_told_with_its_own_setting(tmp_path: Path) -> None:
    async with taking(tmp_path) as to:
        with pytest.raises(OtelHealthError, match="address already in use") as caught:
            async with taking(tmp_path / "other", listen=str(to.address)):
                pass
    assert "telemetry.receive (or OTELHEALTH_TELEMETRY__RECEIVE)" in caught.value.remedy


async def test_grpc_upstream_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(OtelHealthError, match="cannot go on by gRPC") as caught:
        async with taking(tmp_path, "http://127.0.0.1:4317", otlp={"protocol": "grpc"}):
            pass
    assert "http/protobuf" in caught.value.remedy


async def test_inside_an_application_it_is_left_aside_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = {"store": {"path": str(tmp_path / "o.db")}, "telemetry": {"receive": "127.0.0.1:4318"}, "checks": {}}
    async with Agent(config, role="app") as agent:
        assert agent.receiver == ""
    assert "telemetry.receive is left aside" in caplog.text


async def test_at_its_end_it_takes_what_a_sender_that_stops_still_has(tmp_path: Path, upstream: Receiver) -> None:
    """Of a connection that was open before, and of a new one; then it ends at once."""
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
        assert time.monotonic() - begun < 1.9
    assert arrived(upstream, "traces", traces(3))
    assert arrived(upstream, "traces", traces(4))


async def test_a_sender_that_stays_connected_does_not_keep_it(tmp_path: Path) -> None:
    async with taking(tmp_path) as to:
        _, writer = await asyncio.open_connection(to.address.host, to.address.port)
        begun = time.monotonic()
    assert time.monotonic() - begun < 5
    writer.close()
