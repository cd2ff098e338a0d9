"""Each framework and each server for real: requests, a WebSocket, health, a stop, all the way to an OTLP receiver."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from websockets.sync.client import connect

from tests.inside.asking import get, get_json
from tests.inside.serving import Application
from tests.telemetry.receiver import Receiver, attributes, points
from tests.waiting import eventually

PAIRS = [
    ("fastapi", "uvicorn"),
    ("litestar", "uvicorn"),
    ("quart", "uvicorn"),
    ("quart", "hypercorn"),
    ("starlette", "hypercorn"),
    ("starlette", "gunicorn uvicorn"),
    ("fastapi", "gunicorn asgi"),
]
TEMPLATES = {"quart": "<name>"}


class Shop:
    """One of the pairs at work."""

    def __init__(self, framework: str, application: Application, receiver: Receiver) -> None:
        self.application = application
        self.receiver = receiver
        self.variable = TEMPLATES.get(framework, "{name}")

    @property
    def url(self) -> str:
        return self.application.url

    def spans(self, name: str) -> list[dict[str, Any]]:
        """Attributes of the server spans of this name."""
        found = [span for span in self.receiver.spans() if span.name == name]
        return [attributes(span.attributes) for span in found if span.kind == Span.SPAN_KIND_SERVER]

    def points(self, metric: str) -> list[tuple[dict[str, Any], Any]]:
        found = self.receiver.metrics().get(metric)
        return [(attributes(point.attributes), point) for point in points(found)] if found else []


@pytest.fixture(scope="module", params=PAIRS, ids=" on ".join)
def shop(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    framework, server = request.param
    receiver = Receiver()
    application = Application(tmp_path_factory.mktemp("shop"), f"{framework}_shop", receiver.endpoint)
    application.served_by = server
    with application:
        yield Shop(framework, application, receiver)
    receiver.close()


def test_requests_are_recorded_once_each_with_their_route(shop: Shop) -> None:
    for name in ("tea", "cup"):
        assert get_json(f"{shop.url}/items/{name}") == {"item": name}
    route = f"/items/{shop.variable}"
    spans = eventually(lambda: (found := shop.spans(f"GET {route}"))[1:] and found)
    assert sorted(span["url.path"] for span in spans) == ["/items/cup", "/items/tea"]
    assert {span["http.response.status_code"] for span in spans} == {200}

    def counted() -> list[int]:
        figures = shop.points("http.server.request.duration")
        return [point.count for told, point in figures if told.get("http.route") == route]

    assert eventually(lambda: counted() if sum(counted()) >= 2 else None) == [2]


def test_an_error_is_one(shop: Shop) -> None:
    assert get(f"{shop.url}/broken")[0] == 500
    [span] = eventually(lambda: shop.spans("GET /broken"))
    assert span["http.response.status_code"] == 500
    assert span["error.type"]


def test_a_websocket_is_counted_and_its_frames_arrive(shop: Shop) -> None:
    with connect(f"ws://{shop.application.address('http')}/rooms/tea") as socket:
        socket.send("hello")
        assert socket.recv() == "tea: hello"
        with pytest.raises(Exception, match="4000"):
            socket.recv()
    route = f"/rooms/{shop.variable}"
    [span] = eventually(lambda: shop.spans(f"WS {route}"))
    assert span["otelhealth.websocket.close.code"] == "4000"
    closes = eventually(lambda: shop.points("otelhealth.websocket.closes"))
    assert [(told, point.as_int) for told, point in closes] == [
        ({"http.route": route, "otelhealth.websocket.close.code": "4000"}, 1)
    ]
    messages = shop.points("otelhealth.websocket.messages")
    assert {told["network.io.direction"]: point.as_int for told, point in messages} == {"receive": 1, "transmit": 1}


def test_health_is_answered_and_the_checks_run(shop: Shop) -> None:
    eventually(lambda: get(f"{shop.url}/health/ready")[0] == 200)
    told = get_json(f"{shop.url}/health/detailed")
    assert (told["service"], told["checks"]["stock"]["status"]) == ("shop", "pass")
    assert b"otelhealth_check_status" in get(f"{shop.url}/metrics")[1]


def test_a_stop_is_in_order_and_delivers_all(shop: Shop) -> None:
    """The last of a pair's tests."""
    get(f"{shop.url}/items/last")
    shop.application.stop()
    assert [span for span in shop.spans(f"GET /items/{shop.variable}") if span["url.path"] == "/items/last"]
    assert "otelhealth.agent.stop" in {record.event_name for record in shop.receiver.logs()}
    log = shop.application.log.read_text()
    assert "first request" not in log
    assert "Task was destroyed" not in log
