"""Each HTTP request by itself: its span, its duration, its error, against an ordinary SDK."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.inside.recording import Recording, Talk, ask
from tests.waiting import until

DURATION = "http.server.request.duration"
ACTIVE = "http.server.active_requests"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def recording() -> Recording:
    return Recording()


def shop(endpoint: Callable[[Request], Awaitable[Response] | Response], path: str = "/items/{name}") -> ASGIApp:
    return Starlette(routes=[Route(path, endpoint, methods=["GET", "POST"])])


async def plain(_request: Request) -> Response:
    return PlainTextResponse("tea")


def one(points: dict[Any, Any]) -> dict[str, Any]:
    [found] = points
    return dict(found)


async def test_a_request_is_a_server_span_named_by_method_and_route(recording: Recording) -> None:
    talk = await ask(recording.around(shop(plain)), "/items/tea", headers={"user-agent": "tester/1"})
    assert (talk.status, talk.body) == (200, b"tea")
    span = recording.span()
    assert (span.name, span.kind, span.parent) == ("GET /items/{name}", SpanKind.SERVER, None)
    assert span.status.status_code is StatusCode.UNSET
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/items/{name}",
        "url.scheme": "http",
        "url.path": "/items/tea",
        "server.address": "shop.example",
        "server.port": 8000,
        "client.address": "192.0.2.7",
        "client.port": 4711,
        "network.protocol.version": "1.1",
        "user_agent.original": "tester/1",
    }


async def test_the_duration_carries_method_route_and_status(recording: Recording) -> None:
    for _ in range(3):
        await ask(recording.around(shop(plain)), "/items/tea")
    assert recording.points(DURATION) == {
        (
            ("http.request.method", "GET"),
            ("http.response.status_code", 200),
            ("http.route", "/items/{name}"),
            ("network.protocol.version", "1.1"),
            ("url.scheme", "http"),
        ): 3
    }


async def test_a_caller_s_trace_goes_on(recording: Recording) -> None:
    await ask(recording.around(shop(plain)), "/items/tea", headers={"traceparent": TRACEPARENT, "tracestate": "a=1"})
    span = recording.span()
    assert span.parent is not None
    assert (span.parent.trace_id, span.parent.span_id) == (int(TRACEPARENT[3:35], 16), int(TRACEPARENT[36:52], 16))
    assert span.parent.is_remote
    assert span.context.trace_state["a"] == "1"


async def test_spans_of_the_application_are_children(recording: Recording) -> None:
    async def endpoint(_request: Request) -> Response:
        with recording.tracers.get_tracer("shop").start_as_current_span("SELECT"):
            return PlainTextResponse("tea")

    await ask(recording.around(shop(endpoint)), "/items/tea")
    child, server = recording.spans()
    assert child.parent is not None
    assert child.parent.span_id == server.context.span_id
    assert not trace.get_current_span().get_span_context().is_valid


async def test_an_unknown_path_has_no_route(recording: Recording) -> None:
    await ask(recording.around(shop(plain)), "/nowhere/4711")
    assert recording.span().name == "GET"
    assert "http.route" not in one(recording.points(DURATION))
    assert one(recording.points(DURATION))["http.response.status_code"] == 404


async def test_a_wrong_method_keeps_its_route(recording: Recording) -> None:
    await ask(recording.around(shop(plain)), "/items/tea", method="DELETE")
    assert recording.span().name == "DELETE /items/{name}"


@pytest.mark.parametrize("method", ["get", "BREW", "X" * 300])
async def test_an_unknown_method_is_other(recording: Recording, method: str) -> None:
    await ask(recording.around(shop(plain)), "/items/tea", method=method)
    told = dict(recording.span().attributes or {})
    assert (told["http.request.method"], told["http.request.method_original"]) == ("_OTHER", method[:64])
    assert recording.span().name == "HTTP /items/{name}"
    assert one(recording.points(DURATION))["http.request.method"] == "_OTHER"


async def test_known_methods_can_be_told(recording: Recording, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "BREW, GET")
    await ask(recording.around(shop(plain)), "/items/tea", method="BREW")
    assert recording.span().name == "BREW /items/{name}"


async def test_an_exception_that_leaves_the_application_is_its_error(recording: Recording) -> None:
    async def endpoint(_request: Request) -> Response:
        raise asyncio.QueueFull

    with pytest.raises(asyncio.QueueFull):
        await ask(recording.around(shop(endpoint)), "/items/tea")
    span = recording.span()
    told = dict(span.attributes or {})
    assert (told["error.type"], told["http.response.status_code"]) == ("asyncio.queues.QueueFull", 500)
    assert span.status.status_code is StatusCode.ERROR
    assert one(recording.points(DURATION))["error.type"] == "asyncio.queues.QueueFull"


async def test_a_server_s_answer_in_place_of_the_application_s_counts_as_500(recording: Recording) -> None:
    async def raising(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        await ask(recording.around(raising), "/items/tea")
    assert one(recording.points(DURATION)) == {
        "error.type": "ValueError",
        "http.request.method": "GET",
        "http.response.status_code": 500,
        "network.protocol.version": "1.1",
        "url.scheme": "http",
    }


async def test_a_5xx_is_an_error_and_a_4xx_is_none(recording: Recording) -> None:
    async def endpoint(request: Request) -> Response:
        return PlainTextResponse("", int(request.path_params["name"]))

    for status in ("503", "404"):
        await ask(recording.around(shop(endpoint)), f"/items/{status}")
    failed, missed = recording.spans()
    assert (dict(failed.attributes or {})["error.type"], failed.status.status_code) == ("503", StatusCode.ERROR)
    assert "error.type" not in dict(missed.attributes or {})
    assert missed.status.status_code is StatusCode.UNSET


async def test_an_application_that_does_not_answer_fails(recording: Recording) -> None:
    async def silent(_scope: Scope, _receive: Receive, _send: Send) -> None:
        return

    await ask(recording.around(silent), "/")
    assert dict(recording.span().attributes or {})["error.type"] == "incomplete_response"


async def test_a_streamed_answer_is_measured_to_its_end(recording: Recording) -> None:
    more = asyncio.Event()

    async def endpoint(_request: Request) -> Response:
        async def parts() -> Any:
            yield "first"
            await more.wait()
            yield "last"

        return StreamingResponse(parts())

    talk = Talk([{"type": "http.request", "body": b""}])
    going = asyncio.create_task(ask(recording.around(shop(endpoint)), "/items/tea", talk=talk))
    await until(lambda: b"first" in talk.body)
    assert recording.spans() == []
    assert recording.points(ACTIVE) == {(("http.request.method", "GET"), ("url.scheme", "http")): 1}
    more.set()
    await going
    assert talk.body == b"firstlast"
    assert recording.span().name == "GET /items/{name}"
    assert recording.points(ACTIVE) == {(("http.request.method", "GET"), ("url.scheme", "http")): 0}


async def test_what_goes_on_behind_the_answer_is_no_part_of_it(recording: Recording) -> None:
    seen: list[int] = []

    async def endpoint(_request: Request) -> Response:
        return PlainTextResponse("tea", background=BackgroundTask(lambda: seen.append(len(recording.spans()))))

    await ask(recording.around(shop(endpoint)), "/items/tea")
    assert seen == [1]


async def test_trailers_are_part_of_the_answer(recording: Recording) -> None:
    seen: list[int] = []

    async def trailing(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [], "trailers": True})
        await send({"type": "http.response.body", "body": b"x"})
        seen.append(len(recording.spans()))
        await send({"type": "http.response.trailers", "headers": [(b"a", b"b")]})
        seen.append(len(recording.spans()))

    await ask(recording.around(trailing), "/")
    assert seen == [0, 1]


async def test_a_client_that_leaves_is_no_error_of_the_service(recording: Recording) -> None:
    async def endpoint(_request: Request) -> Response:
        async def parts() -> Any:
            while True:
                talk.gone = True
                yield "on and on"

        return StreamingResponse(parts())

    talk = Talk([{"type": "http.request", "body": b""}])
    with pytest.raises(Exception, match=r"^$") as raised:
        await ask(recording.around(shop(endpoint)), "/items/tea", talk=talk)
    assert type(raised.value).__name__ == "ClientDisconnect"
    assert recording.span().status.status_code is StatusCode.UNSET
    assert one(recording.points(DURATION)).get("error.type") is None


async def test_a_request_that_its_server_cancels_is_recorded(recording: Recording) -> None:
    begun = asyncio.Event()

    async def endpoint(_request: Request) -> Response:
        begun.set()
        await asyncio.Event().wait()
        return PlainTextResponse("never")

    going = asyncio.create_task(ask(recording.around(shop(endpoint)), "/items/tea"))
    await begun.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert one(recording.points(DURATION))["error.type"] == "asyncio.exceptions.CancelledError"
    assert list(recording.points(ACTIVE).values()) == [0]


async def test_requests_at_the_same_time_never_mix(recording: Recording) -> None:
    async def endpoint(request: Request) -> Response:
        await asyncio.sleep(0.001 * (int(request.path_params["name"]) % 7))
        return PlainTextResponse("x", 200 + int(request.path_params["name"]) % 5)

    app = recording.around(shop(endpoint))
    await asyncio.gather(*(ask(app, f"/items/{number}", client=("192.0.2.7", 1 + number)) for number in range(200)))
    told = [dict(span.attributes or {}) for span in recording.spans()]
    assert len(told) == 200
    for attributes in told:
        number = int(str(attributes["url.path"]).removeprefix("/items/"))
        assert attributes["http.response.status_code"] == 200 + number % 5
        assert attributes["client.port"] == 1 + number


async def test_messages_pass_as_they_are(recording: Recording) -> None:
    """The very objects, in both directions."""
    body = {"type": "http.request", "body": b"\x00\xff", "more_body": False, "odd": object()}
    start = {"type": "http.response.start", "status": 200, "headers": [(b"X-Odd", b"\xff")]}
    end = {"type": "http.response.body", "body": b"\x00", "odd": object()}
    seen = []

    async def echo(_scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(await receive())
        await send(start)
        await send(end)

    talk = await ask(recording.around(echo), "/", talk=Talk([body]))
    assert seen[0] is body
    assert [message is sent for message, sent in zip(talk.said, (start, end), strict=True)] == [True, True]


@pytest.mark.parametrize("path", ["/health", "/health/live", "/healthz", "/metrics", "/ping/4711/start"])
async def test_requests_for_its_health_leave_nothing(recording: Recording, path: str) -> None:
    await ask(recording.around(shop(plain, "/{rest:path}")), path)
    assert recording.spans() == []
    assert recording.points(DURATION) == {}


@pytest.mark.parametrize("path", ["/healthy-food", "/metricsx", "/api/health"])
async def test_what_only_looks_like_them_is_recorded(recording: Recording, path: str) -> None:
    await ask(recording.around(shop(plain, "/{rest:path}")), path)
    assert len(recording.spans()) == 1


@pytest.mark.parametrize("agent", ["otelhealth/0.1.0", "kube-probe/1.33", "Prometheus/3.15.0"])
async def test_a_probe_is_marked_and_left_out_of_the_figures(recording: Recording, agent: str) -> None:
    """A check's trace goes on in its target all the same."""
    await ask(recording.around(shop(plain)), "/items/tea", headers={"user-agent": agent, "traceparent": TRACEPARENT})
    assert dict(recording.span().attributes or {})["user_agent.synthetic.type"] == "test"
    assert recording.points(DURATION) == {}


async def test_what_a_server_may_leave_out_is_not_missed(recording: Recording) -> None:
    scope = {"type": "http", "asgi": {"version": "3.0"}, "method": "GET", "path": "/items/tea"}

    async def bare(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    talk = Talk()
    await recording.around(bare)(scope, talk.receive, talk.send)
    assert dict(recording.span().attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 204,
        "url.path": "/items/tea",
        "url.scheme": "http",
    }


async def test_a_second_middleware_around_the_first_records_nothing_twice(recording: Recording) -> None:
    await ask(recording.around(recording.around(shop(plain))), "/items/tea")
    assert len(recording.spans()) == 1
    assert list(recording.points(DURATION).values()) == [1]


async def test_an_exemplar_leads_to_the_span(recording: Recording) -> None:
    await ask(recording.around(shop(plain)), "/items/tea")
    assert recording.exemplars(DURATION) == [recording.span().context.span_id]
