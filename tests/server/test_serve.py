"""Starting and stopping inside a running loop, and what is said when that cannot be."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from collections.abc import Callable

import pytest
from starlette.types import Receive, Scope, Send

from otelhealth.errors import OtelHealthError
from otelhealth.server.serve import Server
from tests.server.agent import Client, StandIn, serving, settings
from tests.waiting import until

LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {"asyncio": asyncio.new_event_loop}
if sys.platform != "win32":
    import uvloop

    LOOPS["uvloop"] = uvloop.new_event_loop


async def never_asked(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError


@pytest.mark.parametrize("loop", LOOPS)
def test_it_serves_in_the_loop_it_is_started_in_and_again_after_a_stop(loop: str) -> None:
    async def main() -> None:
        for _ in range(2):
            async with serving("db") as client:
                assert client.server.url == f"http://127.0.0.1:{client.address.port}"
                assert client.address.port > 0
                assert (await client.ask("/health/detailed")).status == 200
                assert b" 431 " in await client.send(b"GET / HTTP/1.1\r\nx: " + b"a" * 3_000_000)
            assert client.server.url == ""
            with pytest.raises(ConnectionError):
                await client.ask("/health")

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_no_answer_waits_for_what_was_sent_before_it_to_be_acknowledged(loop: str, host: str) -> None:
    async def main() -> None:
        async with serving(listen=f"{host}:0") as client:
            with socket.create_connection(("127.0.0.1", client.address.port)):
                await until(lambda: client.server.connections == 1)
                (connection,) = client.server._connections.connections  # noqa: SLF001 - it is seen there alone
                accepted = connection.transport.get_extra_info("socket")
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        runner.run(main())


async def test_a_taken_port_is_named_with_the_remedy() -> None:
    async with serving() as client:
        second = Server(never_asked, settings(listen=str(client.address)))
        with pytest.raises(OtelHealthError, match="already in use") as caught:
            await second.start()
    assert caught.value.sentence == f"cannot listen on {client.address}: address already in use"
    assert "OTELHEALTH_SERVER__LISTEN" in caught.value.remedy


@pytest.mark.parametrize(
    ("listen", "sentence"),
    [
        ("192.0.2.1:0", "cannot listen on 192.0.2.1:0: cannot assign requested address"),
        ("no-such-host.invalid:0", "cannot listen on no-such-host.invalid:0: the name is not known"),
        ("a..b:0", "cannot listen on a..b:0: the name is not known"),
    ],
)
async def test_an_address_that_is_not_of_this_machine_is_named(listen: str, sentence: str) -> None:
    server = Server(never_asked, settings(listen=listen))
    with pytest.raises(OtelHealthError) as caught:
        await server.start()
    assert caught.value.sentence == sentence
    assert caught.value.remedy
    await server.stop()


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


@pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 loopback")
async def test_it_listens_on_ipv6_and_knows_its_own_machine_there() -> None:
    async with serving("db", listen="[::1]:0") as client:
        assert client.server.url == f"http://[::1]:{client.address.port}"
        assert (await client.ask("/health/detailed")).status == 200


async def test_listening_everywhere_it_is_reached_on_loopback() -> None:
    async with serving(listen="0.0.0.0:0") as client:
        assert client.server.url == f"http://127.0.0.1:{client.address.port}"


async def test_it_takes_no_signal_from_its_host() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    async with serving():
        assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


async def test_nothing_ticks_once_nobody_is_connected() -> None:
    async with serving() as client:
        assert (await client.ask("/health")).status == 200
        timers = vars(asyncio.get_running_loop())["_scheduled"]
        async with asyncio.timeout(None):  # its timer is not wanted among those that are looked at
            while any(not timer.cancelled() for timer in timers):
                await asyncio.to_thread(time.sleep, 0.05)


async def serve_slowly(seconds: float) -> tuple[Server, Client]:
    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await asyncio.sleep(seconds)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": "http.response.body", "body": b"done"})

    server = Server(app, settings())
    return server, Client(await server.start(), StandIn(), server)


async def test_a_stop_lets_what_is_being_answered_finish() -> None:
    server, client = await serve_slowly(0.2)
    asking = asyncio.ensure_future(client.ask("/"))
    async with asyncio.timeout(5):
        await until(lambda: server.connections)
        await asyncio.sleep(0.05)
        await server.stop()
    assert (await asking).body == b"done"


async def test_a_stop_waits_no_longer_than_told() -> None:
    server, client = await serve_slowly(3600)
    idle = await asyncio.open_connection(client.address.host, client.address.port)
    asking = asyncio.ensure_future(client.send(b"GET / HTTP/1.1\r\n\r\n"))
    await until(lambda: server.connections == 2)
    async with asyncio.timeout(5):
        await server.stop(grace=0.1)
        assert await asking == b""
        assert await idle[0].read() == b""
    idle[1].close()
    await server.stop()
