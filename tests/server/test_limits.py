"""What one client, or ten thousand, may cost: real sockets that send too much, too slowly, or nothing."""

from __future__ import annotations

import asyncio
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.agent import Client, parse, serving
from tests.waiting import until

FAST = {"header_time": "300ms", "body_time": "300ms", "write_time": "300ms", "idle": "300ms"}
GET = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
LAST = b"GET /health/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
CROWD = Path(__file__).with_name("crowd.py")


async def live(client: Client) -> int:
    return (await client.ask("/health/live")).status


async def test_64_mb_of_headers_are_refused_and_hold_up_nobody() -> None:
    async with serving() as client:
        flood = asyncio.ensure_future(client.send(b"GET / HTTP/1.1\r\nx: ", *[b"a" * 2**20] * 64))
        assert await live(client) == 200
        assert parse(await flood).status == 431
        await until(lambda: client.server.connections == 0)


@pytest.mark.parametrize(
    "head",
    [b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nx: " + b"a" * 40_000 + b"\r\n"],
    ids=["path", "header"],
)
@pytest.mark.parametrize("size", [1024, 7000, 2**20], ids=["small pieces", "pieces", "at once"])
async def test_headers_above_the_limit_are_refused_however_they_arrive(head: bytes, size: int) -> None:
    async with serving() as client:
        pieces = [head[start : start + size] for start in range(0, len(head), size)]
        reply = parse(await client.send(*pieces, b"\r\n"))
    assert (reply.status, reply.headers["connection"]) == (431, "close")
    assert reply.json == {"error": "the headers are too large", "remedy": "send fewer and shorter ones"}


@pytest.mark.parametrize("count", [1, 400])
async def test_headers_of_32_kb_are_served(count: int) -> None:
    line = b"x: " + b"a" * (31_900 // count - 4 - 1) + b"\r\n"
    async with serving() as client:
        assert parse(await client.send(LAST[:-2] + line * count + b"\r\n")).status == 200


async def test_a_lower_limit_of_headers_holds_exactly() -> None:
    async with serving(limits={"header_size": "1024B"}) as client:
        assert (await client.ask("/health", x="a" * 900)).status == 200
        assert (await client.ask("/health", x="a" * 1024)).status == 431


@pytest.mark.parametrize(
    "half",
    [b"G", b"GET /health HTTP/1.1\r\nHost: x", b"POST /health/live HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"],
    ids=["a letter", "headers", "body"],
)
async def test_a_half_sent_request_is_ended_in_time(half: bytes) -> None:
    async with serving(limits=FAST) as client:
        raw = await client.send(half)
        await until(lambda: client.server.connections == 0)
    assert parse(raw).status in (405, 408)
    assert raw.count(b"HTTP/1.1 ") == 1


async def test_a_slow_loris_is_not_kept_alive_by_its_drops() -> None:
    async with serving(limits=FAST) as client:
        reader, writer = await asyncio.open_connection(client.address.host, client.address.port)
        writer.write(b"GET /health HTTP/1.1\r\n")

        async def drip() -> None:
            while not writer.is_closing():
                writer.write(b"x: y\r\n")
                await asyncio.sleep(0.05)

        dripping = asyncio.ensure_future(drip())
        async with asyncio.timeout(30):
            assert parse(await reader.read(4096)).status == 408
        dripping.cancel()
        writer.close()


@pytest.mark.parametrize("first", [b"", GET], ids=["never asked", "asked once"])
async def test_a_connection_that_asks_nothing_is_closed(first: bytes) -> None:
    async with serving(limits=FAST) as client:
        raw = await client.send(first)
    assert raw.startswith(b"HTTP/1.1 200 ") == bool(first)


async def test_a_connection_is_kept_for_the_next_request() -> None:
    async with serving() as client:
        raw = await client.send(GET, GET, LAST)
    assert raw.count(b"HTTP/1.1 200 ") == 3


async def test_pipelined_requests_are_answered_in_order() -> None:
    ready = GET.replace(b"live", b"ready")
    async with serving("db") as client:
        raw = await client.send(GET + ready + GET + LAST.replace(b"live", b"ready"))
    assert [b"alive" in part for part in raw.split(b"HTTP/1.1 200 ")[1:]] == [True, False, True, False]


async def test_a_pile_of_pipelined_requests_is_cut_off() -> None:
    async with serving() as client:
        raw = await client.send(GET * 5000)
        assert await live(client) == 200
    assert 0 < raw.count(b"HTTP/1.1 200 ") <= 20


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
        b"\r\n\r\n\x00\x00",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"BREW /health HTTP/1.1\r\n\r\n",
        b"CONNECT example:443 HTTP/1.1\r\nHost: example:443\r\n\r\n",
        b"GET http://[ HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n",
        b"POST /health HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
async def test_garbage_ends_the_connection_and_nothing_else(garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with serving(limits=FAST) as client:
        raw = await client.send(garbage)
        assert await live(client) == 200
        await until(lambda: client.server.connections == 0)
    assert raw == b"" or parse(raw).status in (400, 403, 404, 405, 408)
    assert [line for line in caplog.records if line.name.startswith("otelhealth")] == []


async def test_an_upgrade_is_answered_as_the_plain_request_it_also_is() -> None:
    async with serving() as client:
        lines = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        raw = await client.send(GET[:-2] + lines + b"\x81\x85frames that follow")
    assert parse(raw).status == 200


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 999999999\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n100000\r\n"],
    ids=["length", "chunked"],
)
@pytest.mark.parametrize("path", [b"/health/live", b"/health/checks/db/run"])
async def test_a_large_body_is_refused(framing: bytes, path: bytes) -> None:
    async with serving("db") as client:
        head = b"POST %s HTTP/1.1\r\nHost: localhost\r\n%s" % (path, framing)
        raw = await client.send(head, *[b"a" * 65_536] * 64)
        await until(lambda: client.server.connections == 0)
    assert parse(raw).status in (200, 405, 413)


async def test_a_body_that_is_announced_too_large_is_refused_before_it_is_sent() -> None:
    async with serving("db") as client:
        head = b"POST /health/checks/db/run HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65537\r\n\r\n"
        reply = parse(await client.send(head))
        assert client.served.ran == []
    assert (reply.status, reply.headers["connection"]) == (413, "close")


async def test_a_body_hidden_in_chunk_marks_is_refused() -> None:
    async with serving() as client:
        head = b"POST /health/live HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        await client.send(head, *[b"1;" + b"e" * 4000 + b"\r\na\r\n"] * 2000)
        await until(lambda: client.server.connections == 0)


async def test_trailers_without_end_are_refused() -> None:
    async with serving() as client:
        head = b"POST /health/live HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        await client.send(head, *[b"x: " + b"a" * 4000 + b"\r\n"] * 2000)
        await until(lambda: client.server.connections == 0)


async def test_a_small_body_is_no_offence() -> None:
    async with serving("db") as client:
        assert (await client.ask("/health/checks/db/run", "POST", b"{}")).status == 200


async def test_a_client_that_has_said_all_still_gets_its_answer() -> None:
    async with serving(*[f"check-{number}" for number in range(300)]) as client:
        raw = await client.send(GET.replace(b"live", b"detailed"), eof=True)
    assert len(parse(raw).json["checks"]) == 300


async def test_a_client_that_ends_in_the_middle_of_its_body_is_let_go_at_once() -> None:
    async with serving("db", limits={"body_time": "10m"}) as client:
        raw = await client.send(b"POST /health/checks/db/run HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf", eof=True)
        await until(lambda: client.server.connections == 0)
    assert raw.count(b"HTTP/1.1 ") <= 1


async def test_a_client_that_does_not_read_is_cut() -> None:
    names = [f"check-{number}" for number in range(20_000)]
    async with serving(*names, limits=FAST) as client:
        _, writer = await asyncio.open_connection(client.address.host, client.address.port, limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # every TCP transport can
        writer.write(GET.replace(b"live", b"detailed"))
        await until(lambda: client.server.connections == 1)
        await until(lambda: client.server.connections == 0)
        assert await live(client) == 200
        writer.close()


async def test_answers_that_a_crowd_does_not_read_are_bounded_together() -> None:
    names = [f"check-{number}" for number in range(20_000)]
    async with serving(*names, limits={"write_time": "10m"}) as client:
        many = 2 * 64 * 2**20 // len((await client.ask("/health/detailed")).body)  # the kernel takes a part of each
        crowd = []
        for _ in range(many):
            _, writer = await asyncio.open_connection(client.address.host, client.address.port, limit=1024)
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # every TCP transport can
            crowd.append(writer)
        try:
            await until(lambda: client.server.connections == many)
            for writer in crowd:
                writer.write(GET.replace(b"live", b"detailed"))
            await until(lambda: client.server.connections < many, within=60)  # each alone has 10 minutes
            assert await live(client) == 200
        finally:
            for writer in crowd:
                writer.transport.abort()


async def test_when_all_places_are_taken_the_longest_waiting_goes() -> None:
    async with serving(limits={"connections": 10}) as client:
        pairs = [await asyncio.open_connection(client.address.host, client.address.port) for _ in range(10)]
        await until(lambda: client.server.connections == 10)
        pairs[0][1].write(GET)  # the eldest asks, and so has waited the least
        assert (await pairs[0][0].readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        assert await live(client) == 200
        async with asyncio.timeout(5):
            assert await pairs[1][0].read() == b""
        pairs[0][1].write(GET)
        assert (await pairs[0][0].readuntil(b"}")).startswith(b"HTTP/1.1 200 ")
        for _, writer in pairs:
            writer.close()


def crowd(connections: int, limit: int) -> dict[str, float]:
    """Figures of a server in a process of its own, with so many connections from another."""
    done = subprocess.run(
        [sys.executable, str(CROWD), str(connections), str(limit)],
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return {name: float(value) for name, _, value in (line.partition(" ") for line in done.stdout.splitlines())}


def possible(wanted: int) -> int:
    """What the hard limit of descriptors lets a process open."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard // 4 - 200)


def test_ten_thousand_connections_stay_within_their_memory_and_live_answers() -> None:
    wanted = possible(10_000)
    seen = crowd(wanted, wanted + 10)
    assert seen["open"] >= wanted
    assert seen["live"] == 200
    assert seen["bytes_each"] < 10_000


def test_beyond_the_limit_ten_thousand_connections_cost_no_more_than_the_limit_and_live_answers() -> None:
    seen = crowd(possible(10_000), 500)
    assert seen["open"] <= 500
    assert seen["live"] == 200
    assert seen["grown_bytes"] < 20_000_000
