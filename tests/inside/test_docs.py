"""docs/telemetry.md, the part of an application, against what one exported that did everything."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from opentelemetry.sdk.metrics.export import Histogram, Metric, Sum
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from otelhealth import monitor_endpoint, monitor_task, trace_call
from otelhealth.telemetry import application
from tests.inside.lives import recording_of_all
from tests.inside.recording import Recording, Talk, ask, scope_of

DOCUMENT = (Path(__file__).parents[2] / "docs" / "telemetry.md").read_text("utf-8")
NAMES = {
    "GET /items/{name}": "{method} {route}",
    "HTTP /items/{name}": "{method} {route}",
    "WS /rooms/{name}": "WS {route}",
    "task sweep": "task {name}",
    "endpoint item": "endpoint {name}",
    "load": "{name}",
}


async def room(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    raise LookupError


async def everything(recording: Recording) -> None:
    @monitor_task("sweep")
    def sweep(fails: bool) -> None:
        if fails:
            raise LookupError

    @monitor_endpoint("item", deadline=0)
    def item(request: Request) -> Response:
        return PlainTextResponse("tea", int(request.query_params.get("status", "200")))

    routes = [Route("/items/{name}", item, methods=["GET", "BREW"]), WebSocketRoute("/rooms/{name}", room)]
    app = recording.around(Starlette(routes=routes))
    await ask(app, "/items/tea?status=503&a=b", headers={"user-agent": "tester/1"}, method="BREW")
    await ask(app, "/items/tea", headers={"user-agent": "kube-probe/1"})
    talk = Talk([{"type": "websocket.connect"}])
    told = scope_of("/rooms/tea?a=b", kind="websocket", headers={"user-agent": "kube-probe/1"})
    for each in (app(told, talk.receive, talk.send), asyncio.to_thread(sweep, True)):
        with pytest.raises(LookupError):
            await each
    sweep(False)
    with pytest.raises(ZeroDivisionError), trace_call("load"):
        raise ZeroDivisionError


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    return recording_of_all(monkeypatch)


def kind_of(metric: Metric) -> str:
    if isinstance(metric.data, Sum):
        return "counter" if metric.data.is_monotonic else "updowncounter"
    return "histogram" if isinstance(metric.data, Histogram) else "gauge"


async def test_what_is_exported_is_what_is_documented(recording: Recording) -> None:
    await everything(recording)
    found = {
        (
            metric.name,
            kind_of(metric),
            metric.unit,
            frozenset(key for point in metric.data.data_points for key in point.attributes or {}),
        )
        for metric in recording.metrics()
    }
    assert found == {
        (metric.name, metric.instrument, metric.unit, frozenset(metric.attributes)) for metric in application.METRICS
    }


async def test_spans_and_events_carry_the_documented_attributes(recording: Recording) -> None:
    await everything(recording)
    spans: dict[str, set[str]] = {}
    for span in recording.spans():
        spans.setdefault(NAMES[span.name], set()).update(span.attributes or {})
    assert spans == {record.name: set(record.attributes) for record in application.SPANS}
    events: dict[str, set[str]] = {}
    for name, attributes in recording.events():
        events.setdefault(name, set()).update(attributes)
    assert events == {record.name: set(record.attributes) for record in application.EVENTS}


def test_the_tables_stand_in_the_document() -> None:
    for metric in application.METRICS:
        assert f"| `{metric.name}`<br>{metric.description} |" in DOCUMENT
    for record in (*application.SPANS, *application.EVENTS):
        assert f"| `{record.name}` | {record.description} |" in DOCUMENT
