"""Our middleware against the official one, request by request: the same but for what docs/application.md lists."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from otelhealth.errors import MissingLibraryError
from otelhealth.inside import official as theirs
from otelhealth.inside.others import ASGI
from otelhealth.inside.providers import Providers
from tests.inside.recording import Recording, Talk, ask, scope_of

DOCUMENT = (Path(__file__).parents[2] / "docs" / "application.md").read_text()
FIGURES = (
    *("http.server.request.duration", "http.server.active_requests"),
    *("http.server.request.body.size", "http.server.response.body.size"),
)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
REQUESTS: list[tuple[str, Mapping[str, Any]]] = [
    ("/items/tea?sort=up", {"headers": {"user-agent": "tester/1", "traceparent": TRACEPARENT}}),
    ("/items/tea?token=abc", {}),
    ("/items/tea?status=404", {"headers": {"host": "shop.example"}}),
    ("/items/tea?status=503", {"scheme": "https"}),
    ("/items/tea", {"method": "POST", "headers": {"content-length": "3"}}),
    ("/items/tea", {"method": "post"}),
    ("/items/tea", {"method": "BREW"}),
    ("/items/tea", {"headers": {"user-agent": "Googlebot/2.1"}}),
    ("/items/tea", {"headers": {"user-agent": "kube-probe/1.33"}}),
    ("/items/tea", {"client": None, "http_version": "2"}),
    ("/broken", {}),
    ("/nowhere", {}),
]


def listed() -> set[str]:
    section = DOCUMENT.partition("## Differences")[2]
    return {name for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for name in re.findall(r"`(.*?)`", row)}


async def item(request: Request) -> Response:
    return PlainTextResponse("tea", int(request.query_params.get("status", "200")))


async def broken(_request: Request) -> Response:
    raise LookupError


async def room(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.close()


def shop() -> ASGIApp:
    every = ["GET", "POST", "post", "BREW"]
    return Starlette(
        routes=[
            Route("/items/{name}", item, methods=every),
            Route("/broken", broken),
            WebSocketRoute("/rooms/{id}", room),
        ]
    )


def official(recording: Recording) -> ASGIApp:
    theirs.prepare()
    return theirs.official(shop(), Providers(recording.tracers, recording.meters, read_back=True))


def told(span: ReadableSpan) -> dict[str, Any]:
    parent = span.parent.span_id if span.parent else None
    rest = {"name": span.name, "kind": span.kind, "status": span.status.status_code, "parent": parent}
    return {**(span.attributes or {}), **rest, "events": len(span.events)}


def differing(ours: Recording, others: Recording) -> set[str]:
    """Attributes and other parts of the span, and metrics with their attributes, that are not the same."""
    mine, its = told(ours.span()), told(others.span())
    found = {key for key in mine.keys() | its.keys() if mine.get(key) != its.get(key)}
    for name in FIGURES:
        left, right = ours.points(name), others.points(name)
        if len(left) != len(right):
            found.add("user_agent.synthetic.type" if "user_agent.synthetic.type" in mine else name)
        for one, other in zip(left, right, strict=False):
            found |= {key for key, _ in set(one) ^ set(other)}
            assert left[one] == right[other]
    return found


async def compared(path: str, more: Mapping[str, Any]) -> set[str]:
    ours, others = Recording(), Recording()
    for app in (ours.around(shop()), official(others)):
        try:
            await ask(app, path, **more)
        except LookupError:
            assert path == "/broken"
    return differing(ours, others)


@pytest.mark.parametrize(("path", "more"), REQUESTS)
async def test_a_request_leaves_what_the_official_one_leaves_but_for_what_is_listed(
    path: str, more: Mapping[str, Any]
) -> None:
    assert await compared(path, more) <= listed()


async def compared_sockets() -> set[str]:
    ours, others = Recording(), Recording()
    for app in (ours.around(shop()), official(others)):
        talk = Talk([{"type": "websocket.connect"}])
        await app(scope_of("/rooms/tea", kind="websocket"), talk.receive, talk.send)
    return differing(ours, others)


async def test_every_listed_difference_is_one() -> None:
    seen = set().union(*[await compared(path, more) for path, more in REQUESTS], await compared_sockets())
    assert seen == listed()


@pytest.mark.parametrize("path", ["/health/live", "/healthz", "/metrics", "/ping/x"])
async def test_the_official_one_leaves_out_requests_for_its_health_too(path: str) -> None:
    recording = Recording()
    await ask(official(recording), path)
    assert recording.spans() == []


@pytest.mark.parametrize(
    ("before", "after"), [("", "http"), ("http/dup", "http/dup"), ("database", "database,http"), ("http", "http")]
)
def test_it_is_told_to_follow_the_stable_convention(before: str, after: str) -> None:
    environ = {"OTEL_SEMCONV_STABILITY_OPT_IN": before}
    theirs.prepare(environ)
    assert environ["OTEL_SEMCONV_STABILITY_OPT_IN"] == after


def test_without_it_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, ASGI, None)
    with pytest.raises(MissingLibraryError, match=re.escape("pip install 'otelhealth[official]'")):
        theirs.prepare({})
