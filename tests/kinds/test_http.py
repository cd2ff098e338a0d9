from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import ValidationError

from otelhealth.checks.levels import LevelJudge
from otelhealth.errors import OtelHealthError
from otelhealth.kinds.http import HttpCheck
from otelhealth.model import CheckResult, Status
from tests.kinds.loopback import Authority, Bench, answering, http, open_files, read_request, serving, settled


def check(port: int, path: str = "/", **fields: Any) -> HttpCheck:
    return HttpCheck.model_validate({"name": "api", "url": f"http://127.0.0.1:{port}{path}", **fields})


async def seen(answer: bytes, **fields: Any) -> CheckResult:
    handler, _ = answering(answer)
    async with serving(handler) as port:
        return await Bench().probe(check(port, **fields))


def measured(result: CheckResult) -> dict[str, float]:
    return {measurement.key: measurement.value for measurement in result.measurements}


async def test_an_answer_below_400_passes_and_says_how_long_it_took() -> None:
    result = await seen(http(b"hello"))
    assert result.status is Status.PASS
    assert result.message.startswith("200 in ")
    assert measured(result).keys() == {"request_duration", "connect", "first_byte", "transfer", "body_size"}
    assert measured(result)["body_size"] == 5


@pytest.mark.parametrize("status", ["404 Not Found", "503 Service Unavailable"])
async def test_an_answer_of_400_or_more_fails_with_the_code_as_its_class(status: str) -> None:
    result = await seen(http(status=status))
    assert (result.status, result.error_type) == (Status.FAIL, status[:3])
    assert result.message == f"answered {status[:3]}, expected < 400"


async def test_the_phases_add_up_to_the_duration() -> None:
    found = measured(await seen(http(b"x" * 100_000)))
    assert found["request_duration"] == pytest.approx(
        sum(found[name] for name in ("connect", "first_byte", "transfer"))
    )


async def test_the_request_carries_the_agent_the_trace_and_the_configured_headers() -> None:
    handler, requests = answering(http())
    async with serving(handler) as port:
        bench = Bench()
        await bench.probe(check(port, "/a?b=c", headers={"X-Key": "k"}))
    lines = requests[0].decode().split("\r\n")
    context = bench.span.get_span_context()
    assert context is not None
    assert lines[0] == "GET /a?b=c HTTP/1.1"
    assert f"Host: 127.0.0.1:{port}" in lines
    assert any(line.startswith("User-Agent: otelhealth/") for line in lines)
    assert f"traceparent: 00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}" in lines
    assert "X-Key: k" in lines


async def test_the_trace_is_not_sent_where_that_is_turned_off() -> None:
    handler, requests = answering(http())
    async with serving(handler) as port:
        await Bench().probe(check(port, propagate=False))
    assert b"traceparent" not in requests[0]


async def test_a_body_is_posted_with_its_length() -> None:
    handler, requests = answering(http())
    async with serving(handler) as port:
        await Bench().probe(check(port, method="POST", body='{"a": 1}', headers={"content-type": "application/json"}))
    assert requests[0].endswith(b'{"a": 1}')
    assert b"Content-Length: 8\r\n" in requests[0]


async def test_user_info_is_basic_auth_and_shows_nowhere() -> None:
    handler, requests = answering(http(status="401 Unauthorized"))
    async with serving(handler) as port:
        bench = Bench()
        one = HttpCheck.model_validate({"url": f"http://ann:s%40cret@127.0.0.1:{port}/x?token=hidden&y=z"})
        result = await bench.probe(one)
    assert b"Authorization: Basic YW5uOnNAY3JldA==\r\n" in requests[0]
    everything = repr(result) + repr(one) + str(one.model_dump()) + bench.span.to_json() + str(bench.log)
    assert [secret for secret in ("ann", "cret", "hidden", "YW5u") if secret in everything] == []
    attributes = bench.span.attributes or {}
    assert attributes["url.full"] == f"http://127.0.0.1:{port}/x?token=REDACTED&y=REDACTED"


async def test_the_span_follows_the_http_conventions() -> None:
    handler, _ = answering(http(status="500 Oh"))
    async with serving(handler) as port:
        bench = Bench()
        await bench.probe(check(port))
    span = bench.span
    assert (span.name, span.kind, span.status.status_code) == ("GET", SpanKind.CLIENT, StatusCode.ERROR)
    attributes = dict(span.attributes or {})
    for phase in ("connect", "first_byte", "transfer"):
        assert isinstance(attributes.pop(f"otelhealth.phase.{phase}.duration"), float)
    assert attributes == {
        "http.request.method": "GET",
        "url.full": f"http://127.0.0.1:{port}/",
        "server.address": "127.0.0.1",
        "server.port": port,
        "user_agent.synthetic.type": "test",
        "network.peer.address": "127.0.0.1",
        "http.response.status_code": 500,
        "network.protocol.version": "1.1",
        "error.type": "500",
    }


async def test_the_span_of_a_refused_connection_names_its_class_and_phase() -> None:
    async with serving(answering(http())[0]) as port:
        pass
    bench = Bench()
    result = await bench.probe(check(port))
    assert (result.status, result.error_type) == (Status.FAIL, "connection_refused")
    assert result.message == f"127.0.0.1:{port} refused the connection"
    attributes = bench.span.attributes or {}
    assert attributes["error.type"] == "connection_refused"
    assert "otelhealth.phase.connect.duration" in attributes
    assert bench.span.status.status_code is StatusCode.ERROR


DOCUMENT = json.dumps({"items": [1, 2], "db": {"up": True, "lag": 3.5}, "build": {"version": "1.4.2"}, "none": None})


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ({"status": 200}, None),
        ({"status": ["2xx", 404]}, None),
        ({"status": 204}, "answered 200, expected 204"),
        ({"status": "300-399"}, "answered 200, expected 300-399"),
        ({"text": "version"}, None),
        ({"text": "absent"}, 'text "absent" is not in the'),
        ({"regex": r"\d\.\d\.\d"}, None),
        ({"regex": "^x"}, "of the body matches ^x"),
        ({"headers": {"X-Kind": "^json"}}, None),
        ({"headers": {"x-kind": "^xml"}}, 'header x-kind is "json", expected ^xml'),
        ({"headers": {"x-other": "."}}, "header x-other is missing, expected ."),
        ({"json": {"$.items": "length > 0", "$.db.up": True, "$['db'].lag": "< 5", "$.items[-1]": 2}}, None),
        ({"json": {"$.items": "length > 2"}}, "$.items is a list of 2, expected length > 2"),
        ({"json": {"$.db.up": 1}}, "$.db.up is true, expected 1"),
        ({"json": {"$.db.lag": "> 5"}}, "$.db.lag is 3.5, expected > 5"),
        ({"json": {"$.build.version": "!= 1.4.2"}}, '$.build.version is "1.4.2", expected != 1.4.2'),
        ({"json": {"$.none": None}}, None),
        ({"json": {"$.db.name": "exists"}}, "$.db.name is not there in the JSON, expected $.db.name: exists"),
    ],
)
async def test_an_expectation_holds_or_says_what_was_seen(expect: dict[str, Any], message: str | None) -> None:
    result = await seen(http(DOCUMENT.encode(), x_kind="json"), expect=expect)
    assert result.status is (Status.PASS if message is None else Status.FAIL)
    assert message is None or message in result.message


async def test_the_version_is_read_from_the_body() -> None:
    result = await seen(http(DOCUMENT.encode()), version="$.build.version")
    assert result.details["version"] == "1.4.2"


async def test_a_body_that_is_no_json_fails_as_such() -> None:
    result = await seen(http(b"<html>"), expect={"json": {"$.a": 1}})
    assert (result.error_type, result.message) == ("invalid_json", "the body (6B) is not JSON")
    deep = await seen(http(b"[" * 100_000), expect={"json": {"$.a": 1}})
    assert deep.error_type == "invalid_json"


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
    assert measured(result)["body_size"] == 64 * 1024


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


async def slow_headers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await read_request(reader)
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"x: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.02)


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    while await reader.read(1000):
        pass


@pytest.mark.parametrize("handler", [silent, slow_headers])
async def test_a_target_that_hangs_ends_at_the_deadline_and_the_log_says_where(handler: Any) -> None:
    async with serving(handler) as port:
        bench = Bench()
        with pytest.raises(TimeoutError):
            await bench.probe(check(port), timeout=0.2)
    assert "stopped in phase" in bench.log[0]
    assert "connect" in bench.log[0]
    assert (bench.span.attributes or {})["error.type"] == "timeout"


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_cancelled_probes_leave_no_descriptor_open(scheme: str) -> None:
    async with serving(silent) as port:  # for https it hangs in the handshake
        before = open_files()
        url = f"{scheme}://localhost:{port}/"
        runs = [Bench().probe(HttpCheck.model_validate({"url": url}), timeout=0.1) for _ in range(20)]
        results = await asyncio.gather(*runs, return_exceptions=True)
        assert all(isinstance(result, TimeoutError) for result in results)
        await settled(before)


async def test_finished_probes_leave_no_descriptor_open(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with serving(answering(http(b"x"))[0], tls=authority.server()) as port:
        before = open_files()
        one = HttpCheck.model_validate({"url": f"https://localhost:{port}/", "ca": authority.root})
        for _ in range(10):
            assert (await Bench().probe(one)).status is Status.PASS
        await settled(before)


async def over_tls(authority: Authority, days: float = 90, *names: str, **fields: Any) -> CheckResult:
    async with serving(answering(http(b"x"))[0], tls=authority.server(*names, days=days)) as port:
        return await Bench().probe(HttpCheck.model_validate({"url": f"https://127.0.0.1:{port}/", **fields}))


async def test_https_times_the_handshake_and_counts_the_days(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    result = await over_tls(authority, 90, ca=authority.root)
    assert result.status is Status.PASS
    assert measured(result)["tls"] > 0
    assert measured(result)["certificate_days"] == pytest.approx(90, abs=0.1)


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
    assert measured(unverified)["certificate_days"] == pytest.approx(days, abs=0.1)


async def test_a_server_name_is_asked_for_and_verified(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    result = await over_tls(authority, 90, "shop.example", ca=authority.root, server_name="shop.example")
    assert result.status is Status.PASS


async def test_https_to_a_plain_port_fails_in_the_handshake() -> None:
    handler, _ = answering(http())
    async with serving(handler) as port:
        one = HttpCheck.model_validate({"url": f"https://127.0.0.1:{port}/"})

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(10)
            writer.write(http())
            await writer.drain()

        async with serving(plain) as other:
            one = HttpCheck.model_validate({"url": f"https://127.0.0.1:{other}/"})
            result = await Bench().probe(one)
    assert result.error_type == "tls_handshake"


async def test_a_ca_file_that_is_missing_is_our_trouble_not_the_targets(tmp_path: Path) -> None:
    with pytest.raises(OtelHealthError, match=r"cannot be used: .*; name readable PEM files"):
        await over_tls(Authority(tmp_path), ca=tmp_path / "none.pem")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"url": "ftp://x/"}, "a URL starts with http:// or https://"),
        ({"url": "http://"}, "no usable host name"),
        ({"url": "http://x/a b"}, "no spaces"),
        ({"url": "http://x/\r\nHost: y"}, "control characters"),
        ({"url": "http://u:secret@x:99999/"}, "the port or host of this URL cannot be read"),
        ({"url": 3}, "a URL is a text"),
        ({"headers": {"X-A": "secret\r\nX-B: 2"}}, "the value of header X-A holds a line break"),
        ({"headers": {"X A": "1"}}, "is not a header name"),
        ({"headers": {"Content-Length": "1"}}, "is set by otelhealth"),
        ({"method": "TRACE"}, "is not for checks"),
        ({"method": "get it"}, "should match pattern"),
        ({"expect": {"status": 700}}, "700 is not an HTTP status"),
        ({"expect": {"status": "20x"}}, "is not an HTTP status"),
        ({"expect": {"regex": "("}}, "is not a regular expression"),
        ({"expect": {"json": {"a": 1}}}, "is not a JSON path"),
        ({"expect": {"json": {"$.a": "> many"}}}, "json: $.a: '> many' is not a range"),
        ({"expect": {"json": {"$..a": 1}}}, "is not understood"),
        ({"redirects": 100}, "less than or equal to 30"),
    ],
)
def test_a_bad_setting_is_refused_without_repeating_its_secrets(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError) as caught:
        HttpCheck.model_validate({"url": "http://x/", **fields})
    assert sentence in str(caught.value)
    assert "secret" not in str(caught.value)
