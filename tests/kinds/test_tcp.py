from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import StatusCode
from pydantic import ValidationError

from otelhealth.kinds.tcp import TcpCheck
from otelhealth.model import CheckResult, Status
from tests.kinds.loopback import Authority, Bench, open_files, serving, settled
from tests.kinds.runs import Runs


async def redis_like(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while line := await reader.readline():
        writer.write(b"+PONG\r\n" if line == b"PING\r\n" else b"-ERR unknown command\r\n")


async def smtp_like(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mail ESMTP\r\n")
    assert await reader.readline() == b"EHLO otelhealth\r\n"
    writer.write(b"250-mail\r\n250")
    await asyncio.sleep(0.01)
    writer.write(b" SIZE 1000\r\n")
    await reader.readline()


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        pass


async def talkative(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"x" * 10_000)
        await writer.drain()


async def seen(handler: Any, **fields: Any) -> CheckResult:
    async with serving(handler) as port:
        return await Bench().probe(TcpCheck.model_validate({"host": "127.0.0.1", "port": port, **fields}))


async def test_a_port_that_takes_connections_passes() -> None:
    result = await seen(silent)
    assert result.status is Status.PASS
    assert result.message.startswith("connected in ")
    assert [measurement.name for measurement in result.measurements] == ["connect"]
    assert result.details == {"peer": "127.0.0.1"}


async def test_a_port_nobody_listens_on_fails_as_refused() -> None:
    async with serving(silent) as port:
        pass
    bench = Bench()
    result = await bench.probe(TcpCheck(host="localhost", port=port))
    assert (result.status, result.error_type) == (Status.FAIL, "connection_refused")
    assert bench.span.status.status_code is StatusCode.ERROR
    attributes = bench.span.attributes or {}
    assert attributes["error.type"] == "connection_refused"
    assert attributes["network.peer.address"] == "127.0.0.1"


async def test_localhost_is_one_host_by_two_addresses() -> None:
    async with serving(silent, host="::1") as port:
        result = await Bench().probe(TcpCheck(host="localhost", port=port))
    assert result.details["peer"] == "::1"


async def test_an_address_of_the_other_family_is_named_in_brackets() -> None:
    async with serving(silent, host="::1") as port:
        pass
    result = await Bench().probe(TcpCheck(host="::1", port=port))
    assert result.message == f"[::1]:{port} refused the connection"


async def test_the_expected_answer_passes_and_is_shown() -> None:
    result = await seen(redis_like, send="PING\r\n", expect="+PONG")
    assert result.status is Status.PASS
    assert result.message.startswith("answered as expected in ")
    assert result.details["answer"] == "+PONG"


async def test_a_dialogue_goes_turn_by_turn() -> None:
    turns = [{"expect": "220 "}, {"send": "EHLO otelhealth\r\n", "regex": "250 .*\r\n"}, {"send": "QUIT\r\n"}]
    assert (await seen(smtp_like, dialogue=turns)).status is Status.PASS


async def test_a_peer_that_ends_without_the_answer_fails() -> None:
    async def goodbye(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"sorry\r\n")

    result = await seen(goodbye, expect="220")
    assert (result.status, result.error_type) == (Status.FAIL, "unexpected_answer")
    assert result.message.endswith(" closed the connection without the expected answer, it said 'sorry'")


async def test_a_wrong_answer_is_shown_where_the_expected_one_did_not_come_in_time() -> None:
    async with serving(redis_like) as port:
        check = TcpCheck.model_validate(
            {"host": "127.0.0.1", "port": port, "send": "PONG\r\n", "expect": "+PONG", "timeout": "1s"}
        )
        result = await Runs()(check)
    assert (result.status, result.error_type) == (Status.FAIL, "timeout")
    assert "stopped in phase dialogue" in result.message
    assert result.message.endswith(", it said '-ERR unknown command')")


async def test_a_peer_that_never_stops_talking_is_left() -> None:
    result = await seen(talkative, expect="220")
    assert result.error_type == "unexpected_answer"
    assert "said 64 KiB without the expected answer" in result.message


async def test_a_reset_in_the_dialogue_fails() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    result = await seen(reset, send="x" * 60_000, expect="220")
    assert result.error_type in ("connection_reset", "unexpected_answer")


async def test_a_silent_peer_ends_at_the_deadline_and_leaves_no_descriptor() -> None:
    async with serving(silent) as port:
        before = open_files()
        bench = Bench()
        with pytest.raises(TimeoutError):
            await bench.overdue_in("dialogue", TcpCheck(host="127.0.0.1", port=port, expect="220"))
        await settled(before)
    assert "stopped in phase dialogue" in bench.log[0]


async def test_a_full_backlog_is_no_pass() -> None:
    """A half-up target: the kernel holds its port, nobody accepts."""
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        with pytest.raises(TimeoutError):
            await Bench().probe(TcpCheck(host="127.0.0.1", port=port, expect="220"), timeout=0.2)


async def test_tls_is_spoken_where_asked_for(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serving(redis_like, tls=authority.server(days=30)) as port:
        check = TcpCheck(host="localhost", port=port, tls=True, ca=authority.root, send="PING\r\n", expect="+PONG")
        result = await Bench().probe(check)
    assert result.status is Status.PASS
    days = next(one for one in result.measurements if one.name == "certificate_days")
    assert days.value == pytest.approx(30, abs=0.1)


async def test_tls_to_a_port_without_it_fails_in_the_handshake() -> None:
    result = await seen(redis_like, tls=True)
    assert result.error_type == "tls_handshake"


async def test_a_unix_socket_is_a_target_too(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with serving(redis_like, path=path):
        check = TcpCheck.model_validate({"path": str(path), "send": "PING\r\n", "expect": "+PONG"})
        assert (await Bench().probe(check)).status is Status.PASS
    path.unlink(missing_ok=True)
    missing = await Bench().probe(TcpCheck(path=str(path)))
    assert (missing.error_type, missing.message) == ("socket_missing", f"{path} does not exist")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "needs `host` and `port`, or `path`"),
        ({"host": "x"}, "needs `host` and `port`, or `path`"),
        ({"host": "x", "port": 1, "path": "/x"}, "needs `host` and `port`, or `path`"),
        ({"host": "x", "port": 99999}, "less than or equal to 65535"),
        ({"host": "x y", "port": 1}, "should match pattern"),
        ({"host": "x", "port": 1, "expect": "a", "regex": "b"}, "`expect` or `regex`, not both"),
        ({"host": "x", "port": 1, "send": "a", "dialogue": [{"send": "b"}]}, "not both"),
        ({"host": "x", "port": 1, "regex": "("}, "is not a regular expression"),
    ],
)
def test_a_bad_setting_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TcpCheck.model_validate(fields)
    assert sentence in str(caught.value)
