"""OTLP over real sockets into a real agent: what is refused, how its sender is told, and what one may cost."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otelhealth.address import Address
from otelhealth.telemetry.distribution import Explicit
from tests.receive.agents import JSON, PROTOBUF, status_of, taking
from tests.receive.telling import BOUNDS, Told, traces
from tests.server.agent import Plain, parse
from tests.waiting import until

TOKEN = "0123456789abcdef"
GZIP = {"content_encoding": "gzip"}


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


async def test_no_more_senders_than_the_limit_are_connected(tmp_path: Path) -> None:
    async with taking(tmp_path, limits={"connections": 10}) as to:
        others = [await asyncio.open_connection(to.address.host, to.address.port) for _ in range(30)]
        assert (await to.post("traces", traces())).status == 200
        closed = [reader for reader, _ in others if reader.at_eof()]
        assert len(closed) >= 20
        for _, writer in others:
            writer.close()


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


@pytest.mark.parametrize(("size", "status"), [(1, 413), (200, 200)])
async def test_a_body_in_the_smallest_chunks_is_refused_before_it_has_cost_much(
    tmp_path: Path, size: int, status: int
) -> None:
    body = traces(1000)
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    head = b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n"
    head += b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
    async with taking(tmp_path) as to:
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        reply = parse(await to.send(head + chunks + b"0\r\n\r\n"))
    assert reply.status == status


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

        await until(taken)


HEAD = b"POST /v1/traces HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n"
HALF = HEAD + b"content-length: 900000\r\n\r\n" + bytes(800_000)
WHOLE = HEAD + b"content-length: 700000\r\nconnection: close\r\n\r\n" + bytes(700_000)


async def test_more_bodies_at_once_than_there_is_room_for_are_told_to_come_again(tmp_path: Path) -> None:
    async with taking(tmp_path, limits={"in_flight": "1MiB", "body_time": "60s"}) as to:

        async def refused() -> bool:
            _, first = await asyncio.open_connection(to.address.host, to.address.port)
            first.write(HALF)
            await first.drain()
            reply = parse(await to.send(WHOLE))
            first.transport.abort()
            return (reply.status, reply.headers.get("retry-after")) == (503, "1")

        await until(refused)
        assert (await to.post("traces", traces())).status == 200


async def test_one_that_hardly_comes_gives_way_to_those_that_do(tmp_path: Path) -> None:
    async with taking(tmp_path, limits={"in_flight": "1MiB", "body_time": "60s"}) as to:
        reader, writer = await asyncio.open_connection(to.address.host, to.address.port)
        writer.write(HALF)

        async def looked_at() -> bool:
            return parse(await to.send(WHOLE)).status == 400  # for it is no OTLP

        await until(looked_at)
        assert b" 503 " in await reader.readline()
        writer.close()


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
            begun = time.thread_time()  # of the loop: the machine may be as slow as it likes
            assert (await live.ask("/health/live")).status == 200
            slowest = max(slowest, time.thread_time() - begun)
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
