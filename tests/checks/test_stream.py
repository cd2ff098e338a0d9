"""What dialling promises, on asyncio's loop and on uvloop, which report failures in their own ways."""

from __future__ import annotations

import asyncio
import errno
import ssl
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
import uvloop

from otelhealth.checks.http import Exchange
from otelhealth.checks.request import Request
from otelhealth.checks.resolve import RESOLVERS, Resolver
from otelhealth.checks.stream import Attempt, Endpoint, Inbox, dial, network_error
from otelhealth.checks.tls import Tls, context
from otelhealth.checks.url import Url
from otelhealth.errors import ProbeError
from tests.kinds.loopback import Authority, answering, http, open_files, serving, settled
from tests.kinds.names import name_server, zone

Run = Callable[[Coroutine[Any, Any, None]], None]
loops = pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        pass


async def get(url: str, tls: Tls | None = None) -> int:
    return (await Exchange().run(Request("GET", Url.parse(url), tls=tls or Tls()))).status


@loops
def test_http_and_https_answer(run: Run, tmp_path: Path) -> None:
    async def main() -> None:
        authority = Authority(tmp_path)
        async with serving(answering(http(b"x" * 300_000))[0]) as port:
            assert await get(f"http://localhost:{port}/") == 200
        async with serving(answering(http(b"x" * 300_000))[0], tls=authority.server()) as port:
            assert await get(f"https://localhost:{port}/", Tls(ca=str(authority.root))) == 200

    run(main())


@loops
def test_each_failure_has_the_same_class_on_each_loop(run: Run, tmp_path: Path) -> None:
    async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async def main() -> None:
        async with serving(silent) as dead:
            pass
        assert await failure(f"http://127.0.0.1:{dead}/") == {"connection_refused"}
        async with serving(hangs_up) as port:
            assert await failure(f"http://127.0.0.1:{port}/") <= {"connection_reset", "connection_closed"}
            assert await failure(f"https://127.0.0.1:{port}/") == {"connection_reset"}
        async with serving(silent, tls=Authority(tmp_path).server()) as port:
            assert await failure(f"https://127.0.0.1:{port}/") == {"tls_untrusted"}
        async with serving(answering(b"220 no TLS here\r\n")[0]) as port:
            assert await failure(f"http://127.0.0.1:{port}/") == {"http_malformed"}

    run(main())


async def failure(url: str) -> set[str]:
    with pytest.raises(ProbeError) as caught:
        await get(url)
    return {caught.value.error_type}


@loops
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("wait", [0.0, 0.001, 0.05])
def test_a_cancellation_at_any_moment_closes_the_socket(run: Run, scheme: str, wait: float) -> None:
    async def main() -> None:
        async with serving(silent) as port:
            before = open_files()
            tasks = [asyncio.ensure_future(get(f"{scheme}://127.0.0.1:{port}/")) for _ in range(50)]
            await asyncio.sleep(wait)
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(end, asyncio.CancelledError) for end in ended)
            await settled(before)

    run(main())


async def test_phases_are_kept_also_when_the_attempt_fails() -> None:
    async with serving(silent) as port:
        pass
    attempt = Attempt()
    with pytest.raises(ProbeError):
        await dial(asyncio.Protocol(), Endpoint("localhost", port), attempt)
    assert attempt.phase == "connect"
    attempt.enter("")
    assert attempt.phases.keys() == {"dns", "connect"}
    assert attempt.attributes().keys() == {
        "otelhealth.phase.dns.duration",
        "otelhealth.phase.connect.duration",
        "network.peer.address",
    }


async def test_only_the_first_address_of_a_name_is_tried() -> None:
    two = zone({("half-up.example", "A"): ["127.0.0.2", "127.0.0.1"]})
    async with serving(silent) as port, name_server(two) as (server, _):
        resolver = RESOLVERS[asyncio.get_running_loop()] = Resolver([server])
        attempt = Attempt()
        with pytest.raises(ProbeError, match="refused the connection"):
            await dial(asyncio.Protocol(), Endpoint("half-up.example", port), attempt)
        await resolver.close()
    assert attempt.peer == "127.0.0.2"


def test_a_lack_of_our_own_is_not_the_targets_failure() -> None:
    for number in (errno.EMFILE, errno.EADDRNOTAVAIL, errno.ENOMEM):
        error = OSError(number, "x")
        assert network_error(error, "x") is error
    unreachable = network_error(OSError(errno.EHOSTUNREACH, "x"), "db:5432")
    assert isinstance(unreachable, ProbeError)
    assert (unreachable.error_type, str(unreachable)) == ("host_unreachable", "db:5432 cannot be reached")


async def test_an_inbox_gives_answers_one_after_the_other() -> None:
    inbox = Inbox("x", limit=10)
    inbox.data_received(b"ab")
    assert await inbox.until(lambda data: 1 if data else 0) == b"a"
    waiting = asyncio.ensure_future(inbox.until(lambda data: data.find(b"c") + 1))
    await asyncio.sleep(0)
    inbox.data_received(b"c")
    assert await waiting == b"bc"
    inbox.data_received(b"x" * 50)
    assert len(inbox.data) == 10


def test_a_context_is_made_once_per_settings_and_again_when_its_file_changes(tmp_path: Path) -> None:
    assert context(Tls()) is context(Tls())
    assert context(Tls()) is not context(Tls(), ("h2",))
    assert context(Tls(verify=False)).verify_mode is ssl.CERT_NONE
    root = str(Authority(tmp_path).root)
    first = context(Tls(ca=root))
    assert context(Tls(ca=root)) is first
    other = str(Authority(tmp_path).root)
    assert context(Tls(ca=other)) is not first
