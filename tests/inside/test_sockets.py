"""WebSockets: what is counted of them, their span, and that their frames pass as they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from opentelemetry.trace import SpanKind, StatusCode
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Message
from starlette.websockets import WebSocket

from tests.inside.recording import Recording, Talk, scope_of
from tests.waiting import until

OPEN, MESSAGES = "otelhealth.websocket.connections", "otelhealth.websocket.messages"
CLOSES, DURATION = "otelhealth.websocket.closes", "otelhealth.websocket.duration"
CONNECT: Message = {"type": "websocket.connect"}
ROOM = ("http.route", "/rooms/{name}")


@pytest.fixture
def recording() -> Recording:
    return Recording()


def rooms(endpoint: Callable[[WebSocket], Awaitable[None]]) -> ASGIApp:
    return Starlette(routes=[WebSocketRoute("/rooms/{name}", endpoint)])


def received(text: str | None = None, data: bytes | None = None) -> Message:
    return {"type": "websocket.receive", "text": text, "bytes": data}


def left(code: int) -> Message:
    return {"type": "websocket.disconnect", "code": code, "reason": ""}


async def speak(app: ASGIApp, *told: Message, path: str = "/rooms/tea", **more: Any) -> Talk:
    talk = Talk([CONNECT, *told])
    await app(scope_of(path, kind="websocket", **more), talk.receive, talk.send)
    return talk


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    while (message := await socket.receive())["type"] == "websocket.receive":
        if message.get("bytes") is not None:
            await socket.send_bytes(message["bytes"])
        else:
            await socket.send_text(message["text"])


async def test_messages_are_counted_by_direction_and_type(recording: Recording) -> None:
    app = recording.around(rooms(echo))
    await speak(app, received("a"), received("b"), received(None, b"c"), left(1001))
    direction, kind = "network.io.direction", "otelhealth.websocket.message.type"
    assert recording.points(MESSAGES) == {
        (ROOM, (direction, way), (kind, sort)): count
        for way in ("receive", "transmit")
        for sort, count in (("text", 2), ("binary", 1))
    }


async def test_a_connection_is_open_from_its_acceptance_to_its_end(recording: Recording) -> None:
    leave = asyncio.Event()

    async def wait(socket: WebSocket) -> None:
        await socket.accept()
        await leave.wait()
        await socket.close(4001)

    app = recording.around(rooms(wait))
    going = [asyncio.create_task(speak(app)) for _ in range(3)]
    await until(lambda: recording.points(OPEN) == {(ROOM,): 3})
    assert recording.spans() == []
    leave.set()
    await asyncio.gather(*going)
    assert recording.points(OPEN) == {(ROOM,): 0}
    assert recording.points(CLOSES) == {(ROOM, ("otelhealth.websocket.close.code", "4001")): 3}
    assert recording.points(DURATION) == {(ROOM,): 3}


async def test_its_span_is_a_server_s_from_handshake_to_end(recording: Recording) -> None:
    await speak(recording.around(rooms(echo)), left(1000), path="/rooms/tea?token=abc")
    span = recording.span()
    assert (span.name, span.kind, span.status.status_code) == ("WS /rooms/{name}", SpanKind.SERVER, StatusCode.UNSET)
    assert dict(span.attributes or {}) == {
        "http.request.method": "GET",
        "http.response.status_code": 101,
        "http.route": "/rooms/{name}",
        "network.protocol.name": "websocket",
        "network.protocol.version": "1.1",
        "otelhealth.websocket.close.code": "1000",
        "url.scheme": "ws",
        "url.path": "/rooms/tea",
        "url.query": "token=REDACTED",
        "server.address": "shop.example",
        "server.port": 8000,
        "client.address": "192.0.2.7",
        "client.port": 4711,
    }


async def test_over_http_2_the_handshake_is_a_connect(recording: Recording) -> None:
    await speak(recording.around(rooms(echo)), left(1000), http_version="2")
    told = dict(recording.span().attributes or {})
    assert (told["http.request.method"], told["http.response.status_code"]) == ("CONNECT", 200)


async def test_an_exception_is_an_error_and_an_abnormal_end(recording: Recording) -> None:
    async def broken(socket: WebSocket) -> None:
        await socket.accept()
        raise LookupError

    with pytest.raises(LookupError):
        await speak(recording.around(rooms(broken)))
    assert recording.span().status.status_code is StatusCode.ERROR
    assert dict(recording.span().attributes or {})["error.type"] == "LookupError"
    assert recording.points(CLOSES) == {(ROOM, ("otelhealth.websocket.close.code", "1006")): 1}
    assert list(recording.points(OPEN).values()) == [0]


async def test_a_client_that_leaves_is_no_error(recording: Recording) -> None:
    async def listen(socket: WebSocket) -> None:
        await socket.accept()
        await socket.receive_text()

    with pytest.raises(Exception, match="1001"):
        await speak(recording.around(rooms(listen)), left(1001))
    assert recording.span().status.status_code is StatusCode.UNSET


async def test_one_that_is_refused_was_never_open(recording: Recording) -> None:
    async def refuse(socket: WebSocket) -> None:
        await socket.close()

    await speak(recording.around(rooms(refuse)))
    await speak(recording.around(rooms(echo)), path="/nowhere")
    assert [dict(span.attributes or {})["http.response.status_code"] for span in recording.spans()] == [403, 403]
    assert [span.name for span in recording.spans()] == ["WS /rooms/{name}", "WS"]
    assert recording.points(CLOSES) == {}


async def test_a_client_cannot_make_series_without_end(recording: Recording) -> None:
    app = recording.around(rooms(echo))
    for code in range(3000, 3600):
        await speak(app, left(code))
    closes = recording.points(CLOSES)
    assert len(closes) == 501
    assert closes[ROOM, ("otelhealth.websocket.close.code", "_OTHER")] == 100


async def test_frames_pass_as_they_are(recording: Recording) -> None:
    told = received(None, b"\x00\xff")
    seen: list[Message] = []
    answer = {"type": "websocket.send", "bytes": b"\xff", "text": None}

    async def raw(_scope: Any, receive: Any, send: Any) -> None:
        seen.extend([await receive(), await receive()])
        await send({"type": "websocket.accept"})
        await send(answer)

    talk = await speak(recording.around(raw), told)
    assert seen[1] is told
    assert talk.said[1] is answer


async def test_they_can_be_left_alone(recording: Recording) -> None:
    await speak(recording.around(rooms(echo), websocket=False), received("a"), left(1000))
    assert recording.spans() == []
    assert recording.points(MESSAGES) == {}
