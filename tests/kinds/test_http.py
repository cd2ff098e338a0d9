from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from opentelemetry.trace import SpanKind, StatusCode
from pydantic import ValidationError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request as StarletteRequest
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from otelhealth.kinds.http import HttpCheck
from otelhealth.model import Status
from tests.kinds.asking import check, seen
from tests.kinds.loopback import Authority, Bench, answering, http, open_files, read_request, serving, settled
from tests.kinds.runs import figures
from tests.waiting import until


async def test_an_answer_below_400_passes_and_says_how_long_it_took() -> None:
    result = await seen(http(b"hello"))
    assert result.status is Status.PASS
    assert result.message.startswith("200 in ")
    assert figures(result).keys() == {"request_duration", "connect", "first_byte", "transfer", "body_size"}
    assert figures(result)["body_size"] == 5


@pytest.mark.parametrize("status", ["404 Not Found", "503 Service Unavailable"])
async def test_an_answer_of_400_or_more_fails_with_the_code_as_its_class(status: str) -> None:
    result = await seen(http(status=status))
    assert (result.status, result.error_type) == (Status.FAIL, status[:3])
    assert result.message == f"answered {status[:3]}, expected < 400"


async def test_the_phases_add_up_to_the_duration() -> None:
    found = figures(await seen(http(b"x" * 100_000)))
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


@pytest.mark.parametrize(("handler", "phase"), [(silent, "first_byte"), (slow_headers, "transfer")])
async def test_a_target_that_hangs_ends_at_the_deadline_and_the_log_says_where(handler: Any, phase: str) -> None:
    async with serving(handler) as port:
        bench = Bench()
        with pytest.raises(TimeoutError):
            await bench.overdue_in(phase, check(port))
    assert f"stopped in phase {phase} to 127.0.0.1 after connect" in bench.log[0]
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


async def items(request: StarletteRequest) -> JSONResponse:
    return JSONResponse({"items": list(range(500)), "agent": request.headers["user-agent"]})


async def echo(request: StarletteRequest) -> Response:
    return Response(await request.body())


async def broken(_request: StarletteRequest) -> Response:
    raise RuntimeError("as asked for")


@asynccontextmanager
async def starlette() -> AsyncIterator[int]:
    """A real server with a real application."""
    routes = [Route("/items", items), Route("/echo", echo, methods=["POST"]), Route("/broken", broken)]
    app = Starlette(routes=routes, middleware=[Middleware(GZipMiddleware)])
    server = uvicorn.Server(uvicorn.Config(app, port=0, lifespan="off", log_config=None))
    task = asyncio.ensure_future(server.serve())
    await until(lambda: server.started)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def test_a_real_application_is_asked() -> None:
    async with starlette() as port:
        packed = {"headers": {"accept-encoding": "gzip"}, "expect": {"json": {"$.items": "length == 500"}}}
        result = await Bench().probe(check(port, "/items", **packed, version="$.agent"))
        assert result.status is Status.PASS
        assert result.details["version"].startswith("otelhealth/")
        posted = await Bench().probe(check(port, "/echo", method="POST", body="ping", expect={"regex": "^ping$"}))
        assert posted.status is Status.PASS
        assert (await Bench().probe(check(port, "/echo"))).error_type == "405"
        assert (await Bench().probe(check(port, "/broken"))).error_type == "500"
        assert (await Bench().probe(check(port, "/items", method="HEAD"))).status is Status.PASS
