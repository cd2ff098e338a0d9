"""The wire of a request against servers that pack, cut, redirect, lie and break off."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from pathlib import Path
from typing import Any

import pytest

from otelhealth.checks.levels import LevelJudge
from otelhealth.errors import OtelHealthError
from otelhealth.kinds.http import HttpCheck
from otelhealth.model import CheckResult, Status
from tests.kinds.asking import check, seen
from tests.kinds.loopback import Authority, Bench, answering, http, read_request, serving
from tests.kinds.runs import figures


@pytest.mark.parametrize("coding", ["gzip", "deflate", "raw deflate"])
async def test_a_packed_body_is_unpacked_before_it_is_judged(coding: str) -> None:
    raw = zlib.compressobj(wbits=-15)
    packed = {
        "gzip": gzip.compress(b"hello"),
        "deflate": zlib.compress(b"hello"),
        "raw deflate": raw.compress(b"hello") + raw.flush(),
    }
    answer = http(packed[coding], content_encoding=coding.removeprefix("raw "))
    assert (await seen(answer, expect={"text": "hello"})).status is Status.PASS


async def test_a_bomb_is_unpacked_no_further_than_the_limit() -> None:
    answer = http(gzip.compress(b"a" * 50_000_000), content_encoding="gzip")
    result = await seen(answer, body_limit="64KiB")
    assert result.status is Status.PASS
    assert result.details["truncated"] is True
    assert figures(result)["body_size"] == 64 * 1024


async def test_a_body_in_an_unknown_or_false_encoding_fails() -> None:
    assert (await seen(http(b"abc", content_encoding="br"))).error_type == "http_encoding"
    assert (await seen(http(b"abc", content_encoding="gzip"))).error_type == "http_encoding"


async def test_a_body_beyond_the_limit_is_cut_off_and_said() -> None:
    result = await seen(http(b"x" * 5000), body_limit="1kB")
    assert result.status is Status.PASS
    assert result.message.endswith("only 1000B of the body read")


async def test_a_cut_body_cannot_meet_an_expectation() -> None:
    result = await seen(http(b"x" * 5000), body_limit="1kB", expect={"text": "x"})
    assert (result.status, result.error_type) == (Status.FAIL, "body_too_large")


async def test_a_body_that_never_ends_is_left_at_the_limit() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 10_000)
            await writer.drain()

    async with serving(endless) as port:
        result = await Bench().probe(check(port))
    assert (result.status, result.details["truncated"]) == (Status.PASS, True)


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "error_type"),
    [
        (CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", None),
        (b"HTTP/1.1 200 OK\r\n\r\nhello", None),
        (b"HTTP/1.0 200 OK\r\n\r\nhello", None),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + http(b"hello"), None),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + http(b"hello"), None),
        (http(b"hello") + b"garbage after the end", None),
        (CHUNKED + b"5\r\nhel", "incomplete_response"),
        (CHUNKED + b"z\r\nhello\r\n0\r\n\r\n", "http_malformed"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello", "incomplete_response"),
        (b"HTTP/1.1 200 OK\r\ncontent-le", "incomplete_response"),
        (b"", "connection_closed"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "http_malformed"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "http_malformed"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000 + b"\r\n\r\n", "headers_too_large"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 20_000, "headers_too_large"),
        (CHUNKED + b"5\r\nhello\r\n0\r\nx: " + b"y" * 600_000 + b"\r\n\r\n", "headers_too_large"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 4000, "headers_too_large"),
    ],
)
async def test_each_way_to_answer_has_its_class(answer: bytes, error_type: str | None) -> None:
    result = await seen(answer, expect={"text": "hello"})
    assert result.error_type == error_type


async def test_a_server_that_hangs_up_at_once_gave_no_answer() -> None:
    async def gone(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    async with serving(gone) as port:
        result = await Bench().probe(check(port))
    assert result.error_type in ("connection_closed", "connection_reset")


async def test_204_and_head_have_no_body_to_wait_for() -> None:
    assert (await seen(b"HTTP/1.1 204 No Content\r\n\r\n")).message.startswith("204 in")
    assert (await seen(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n", method="HEAD")).status is Status.PASS


async def test_a_reset_in_the_middle_of_the_body_fails_as_a_reset() -> None:
    async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(4)  # the rest stays unread, so that closing resets
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhello")
        await writer.drain()
        writer.transport.abort()

    async with serving(resetting) as port:
        result = await Bench().probe(check(port, method="POST", body="y" * 60_000))
    assert result.error_type in ("connection_reset", "incomplete_response")


async def test_redirects_are_followed_and_each_hop_is_shown() -> None:
    handler, requests = answering(http(status="301 Moved", location="/b?key=1"), http(b"there"))
    async with serving(handler) as port:
        result = await Bench().probe(check(port, "/a", expect={"status": 200, "text": "there"}))
    assert result.status is Status.PASS
    assert requests[1].startswith(b"GET /b?key=1 ")
    hop = result.details["redirects"][0]
    assert (hop["url"], hop["status_code"]) == (f"http://127.0.0.1:{port}/a", 301)
    assert result.details["url"] == f"http://127.0.0.1:{port}/b?key=REDACTED"


async def test_a_redirect_is_judged_itself_where_none_is_followed() -> None:
    answer = http(status="302 Found", location="/b")
    assert (await seen(answer, redirects=0, expect={"status": 302})).status is Status.PASS


async def test_a_redirect_loop_ends() -> None:
    result = await seen(http(status="302 Found", location="/"), redirects=3)
    assert result.error_type == "too_many_redirects"
    result = await seen(http(status="302 Found", location="file:///etc/passwd"))
    assert result.error_type == "redirect_refused"


async def test_credentials_do_not_go_to_another_origin() -> None:
    elsewhere, requests = answering(http())
    async with serving(elsewhere) as other:
        handler, first = answering(http(status="307 Temporary", location=f"http://127.0.0.1:{other}/x"))
        async with serving(handler) as port:
            fields: dict[str, Any] = {"headers": {"X-Api-Key": "k", "Cookie": "c=1", "Accept": "text/plain"}}
            one = HttpCheck.model_validate({"url": f"http://u:p@127.0.0.1:{port}/", **fields})
            await Bench().probe(one)
    assert all(secret in first[0] for secret in (b"X-Api-Key", b"Cookie", b"Authorization"))
    assert not any(secret in requests[0] for secret in (b"X-Api-Key", b"Cookie", b"Authorization"))
    assert b"Accept: text/plain" in requests[0]


async def test_credentials_stay_within_one_origin() -> None:
    handler, requests = answering(http(status="302 Found", location="/x"), http())
    async with serving(handler) as port:
        await Bench().probe(HttpCheck.model_validate({"url": f"http://u:p@127.0.0.1:{port}/"}))
    assert b"Authorization: Basic" in requests[1]


@pytest.mark.parametrize(
    ("status", "method", "body"),
    [
        ("302 Found", b"GET", b""),
        ("303 See", b"GET", b""),
        ("307 Temporary", b"POST", b"data"),
        ("308 P", b"POST", b"data"),
    ],
)
async def test_a_redirected_post_changes_as_in_a_browser(status: str, method: bytes, body: bytes) -> None:
    handler, requests = answering(http(status=status, location="/x"), http())
    async with serving(handler) as port:
        await Bench().probe(check(port, method="POST", body="data", headers={"Content-Type": "text/plain"}))
    assert requests[1].split()[0] == method
    assert requests[1].partition(b"\r\n\r\n")[2] == body
    assert (b"Content-Type" in requests[1]) == bool(body)


async def over_tls(authority: Authority, days: float = 90, *names: str, **fields: Any) -> CheckResult:
    async with serving(answering(http(b"x"))[0], tls=authority.server(*names, days=days)) as port:
        return await Bench().probe(HttpCheck.model_validate({"url": f"https://127.0.0.1:{port}/", **fields}))


async def test_https_times_the_handshake_and_counts_the_days(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    result = await over_tls(authority, 90, ca=authority.root)
    assert result.status is Status.PASS
    assert figures(result)["tls"] > 0
    assert figures(result)["certificate_days"] == pytest.approx(90, abs=0.1)


async def test_a_certificate_of_few_days_is_a_warning(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    result = await over_tls(authority, 3, ca=authority.root)
    one = HttpCheck.model_validate({"url": "https://x/"})
    judged = LevelJudge(one.levels, one.default_levels).judge(result, 0.1)
    assert judged.status is Status.WARN
    assert "certificate_days is 2.99" in judged.message or "certificate_days is 3" in judged.message


@pytest.mark.parametrize(
    ("days", "names", "trusted", "error_type"),
    [
        (-1, (), True, "tls_expired"),
        (90, ("other.example",), True, "tls_hostname_mismatch"),
        (90, (), False, "tls_untrusted"),
    ],
)
async def test_each_fault_of_a_certificate_has_its_class(
    tmp_path: Path, days: float, names: tuple[str, ...], trusted: bool, error_type: str
) -> None:
    authority = Authority(tmp_path)
    fields = {"ca": authority.root} if trusted else {}
    result = await over_tls(authority, days, *names, **fields)
    assert (result.status, result.error_type) == (Status.FAIL, error_type)
    unverified = await over_tls(authority, days, *names, verify_tls=False)
    assert unverified.status is Status.PASS
    assert figures(unverified)["certificate_days"] == pytest.approx(days, abs=0.1)


async def test_a_server_name_is_asked_for_and_verified(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    result = await over_tls(authority, 90, "shop.example", ca=authority.root, server_name="shop.example")
    assert result.status is Status.PASS


async def test_https_to_a_plain_port_fails_in_the_handshake() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(http())
        await writer.drain()

    async with serving(plain) as port:
        result = await Bench().probe(HttpCheck.model_validate({"url": f"https://127.0.0.1:{port}/"}))
    assert result.error_type == "tls_handshake"


async def test_a_ca_file_that_is_missing_is_our_trouble_not_the_targets(tmp_path: Path) -> None:
    with pytest.raises(OtelHealthError, match=r"cannot be used: No such file or directory; name readable PEM files"):
        await over_tls(Authority(tmp_path), ca=tmp_path / "none.pem")
