from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import dns.rcode
import pytest

from otelhealth.checks.resolve import Resolver, close, literal, resolve
from otelhealth.errors import ProbeError
from tests.kinds.names import Answer, name_server, zone

ZONE = zone(
    {
        ("shop.example", "A"): ["127.0.0.2", "127.0.0.3"],
        ("shop.example", "AAAA"): ["::1"],
        ("mail.example", "MX"): ["1 x."],
    },
    broken=dns.rcode.SERVFAIL,
    refused=dns.rcode.REFUSED,
)


async def looked_up(host: str, answer: Answer = ZONE, **wanted: int) -> tuple[str, ...]:
    async with name_server(answer) as (server, _):
        resolver = Resolver([server], timeout=0.1, tries=1)
        try:
            return await resolver.resolve(host, **wanted)  # type: ignore[arg-type] # a test's shorthand
        finally:
            await resolver.close()


async def test_a_name_gives_its_addresses_of_both_families_or_of_one() -> None:
    assert set(await looked_up("shop.example")) == {"127.0.0.2", "127.0.0.3", "::1"}
    assert set(await looked_up("shop.example", family=4)) == {"127.0.0.2", "127.0.0.3"}
    assert await looked_up("shop.example", family=6) == ("::1",)


@pytest.mark.parametrize(
    ("host", "error_type"),
    [
        ("absent.example", "dns_nxdomain"),
        ("mail.example", "dns_no_address"),
        ("broken.example", "dns_servfail"),
        ("refused.example", "dns_refused"),
        ("a..b", "dns_bad_name"),
        ("x" * 64 + ".example", "dns_bad_name"),
    ],
)
async def test_each_failure_has_its_class(host: str, error_type: str) -> None:
    with pytest.raises(ProbeError) as caught:
        await looked_up(host)
    assert caught.value.error_type == error_type
    assert str(caught.value).startswith(f"the name {host} ")


async def test_a_server_that_is_silent_or_absent_has_its_class() -> None:
    with pytest.raises(ProbeError) as caught:
        await looked_up("shop.example", lambda _question, _transport: None)
    assert caught.value.error_type == "dns_timeout"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{taken.getsockname()[1]}"
    resolver = Resolver([server], timeout=0.1, tries=1)
    with pytest.raises(ProbeError) as caught:
        await resolver.resolve("shop.example")
    assert caught.value.error_type == "dns_unreachable"
    await resolver.close()


async def test_a_thousand_hanging_names_take_one_thread_and_end_when_cancelled() -> None:
    async with name_server(lambda _question, _transport: None) as (server, _):
        resolver = Resolver([server], timeout=60)
        before = threading.active_count()
        tasks = [asyncio.ensure_future(resolver.resolve(f"h{number}.example")) for number in range(1000)]
        await asyncio.sleep(0.05)
        assert threading.active_count() <= before + 1
        assert await resolve("localhost") == ("127.0.0.1", "::1")
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ended)
        await resolver.close()


async def test_the_hosts_file_is_honoured() -> None:
    lines = (line.split() for line in Path("/etc/hosts").read_text().splitlines() if not line.startswith("#"))
    address, name = next((line[0], line[1]) for line in lines if len(line) > 1 and "." in line[0])
    assert address in await resolve(name, 4)
    await close()


async def test_every_name_below_localhost_is_this_host() -> None:
    assert await resolve("LOCALHOST.") == ("127.0.0.1", "::1")
    assert await resolve("api.localhost", 6) == ("::1",)


def test_an_address_needs_no_look_up() -> None:
    assert [host for host in ("10.0.0.1", "::1", "x", "10.0.0", "fe80::1%eth0") if literal(host)] == [
        "10.0.0.1", "::1", "fe80::1%eth0",
    ]  # fmt: skip
