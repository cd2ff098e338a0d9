"""An instrumented application under uvicorn, from outside: what it answers, and what arrives at an OTLP receiver."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.inside.asking import get, get_json
from tests.inside.serving import Application
from tests.telemetry.receiver import Receiver, attributes, points
from tests.waiting import eventually

DURATION = "http.server.request.duration"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture(scope="module")
def shop(receiver: Receiver, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    with Application(tmp_path_factory.mktemp("shop"), "starlette_shop", receiver.endpoint) as running:
        yield running


def servers(receiver: Receiver) -> dict[str, Span]:
    """The server spans by their name, the last of each."""
    return {span.name: span for span in receiver.spans() if span.kind == Span.SPAN_KIND_SERVER}


def durations(receiver: Receiver) -> dict[str, dict[str, Any]]:
    """Attributes of the points of the request histogram by route."""
    metric = receiver.metrics().get(DURATION)
    every = [attributes(point.attributes) for point in points(metric)] if metric else []
    return {told.get("http.route", ""): told for told in every}


def test_a_request_leaves_a_server_span_and_a_duration_with_its_route(shop: Application, receiver: Receiver) -> None:
    assert get(f"{shop.url}/items/tea?sort=up&token=abc", traceparent=TRACEPARENT, user_agent="tester/1") == (
        200,
        b'{"item":"tea"}',
    )
    span = eventually(lambda: servers(receiver).get("GET /items/{name}"))
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == tuple(TRACEPARENT.split("-")[1:3])
    told = attributes(span.attributes)
    port = shop.ports["http"]
    assert isinstance(told.pop("client.port"), int)
    assert told == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/items/{name}",
        "url.scheme": "http",
        "url.path": "/items/tea",
        "url.query": "sort=up&token=REDACTED",
        "server.address": "127.0.0.1",
        "server.port": port,
        "client.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "user_agent.original": "tester/1",
    }
    assert eventually(lambda: durations(receiver).get("/items/{name}")) == {
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "http.route": "/items/{name}",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
    }


def test_an_exception_that_nobody_handles_names_its_class(shop: Application, receiver: Receiver) -> None:
    assert get(f"{shop.url}/broken")[0] == 500
    span = eventually(lambda: servers(receiver).get("GET /broken"))
    assert attributes(span.attributes)["error.type"] == "LookupError"
    assert attributes(span.attributes)["http.response.status_code"] == 500
    assert span.status.code == 2
    assert eventually(lambda: durations(receiver).get("/broken"))["error.type"] == "LookupError"


def test_the_route_of_a_mount_is_its_template(shop: Application, receiver: Receiver) -> None:
    assert get(f"{shop.url}/tenants/acme/leaf/oak")[0] == 200
    eventually(lambda: servers(receiver).get("GET /tenants/{tenant}/leaf/{name}"))


def test_health_is_answered_on_the_port_of_the_application(shop: Application) -> None:
    assert get_json(f"{shop.url}/health")["service"] == "shop"
    eventually(lambda: get(f"{shop.url}/health/ready")[0] == 200)
    assert get_json(f"{shop.url}/health/ready")["checks"]["stock"] == {"status": "ready", "error": None}
    assert get(f"{shop.url}/health/detailed", x_forwarded_for="10.1.1.1")[0] == 403


def test_performance_is_that_of_the_real_requests(shop: Application) -> None:
    """Not of those for its health, nor of probes."""
    before = get_json(f"{shop.url}/health/detailed")["performance"]["requests"]
    for _ in range(5):
        get(f"{shop.url}/items/cup", user_agent="kube-probe/1.33")
        get(f"{shop.url}/health")
    get(f"{shop.url}/unavailable")

    def performance() -> Any:
        found = get_json(f"{shop.url}/health/detailed")["performance"]
        return found if found["requests"] > before else None

    found = eventually(performance, 15)
    assert found["source"] == "application"
    assert found["error_rates"]["rate_1min"] > 0
    assert found["response_times"]["p99_ms"] > 0


def test_the_agent_is_one_in_an_application(shop: Application, receiver: Receiver) -> None:
    eventually(lambda: [span for span in receiver.spans() if span.name == "check stock"])
    instances = {resource["service.instance.id"] for resource, _, _ in receiver.scoped_spans()}
    assert len(instances) == 1
    assert "otelhealth starts with the first request" not in shop.log.read_text()


def test_a_stop_is_in_order(tmp_path: Path, receiver: Receiver) -> None:
    with Application(tmp_path, "starlette_shop", receiver.endpoint) as shop:
        get(f"{shop.url}/items/last")
        shop.stop()
        tail = shop.tail()
    assert "the shop closes" in tail
    assert "Traceback" not in tail
    assert [span for span in receiver.spans() if attributes(span.attributes).get("url.path") == "/items/last"]


def test_where_a_server_runs_no_lifespan_it_ends_with_the_event_loop(tmp_path: Path, receiver: Receiver) -> None:
    """By SIGINT: under SIGTERM uvicorn kills its own process while the loop still goes."""
    shop = Application(tmp_path, "starlette_shop", receiver.endpoint)
    shop.more = ("--lifespan", "off")
    with shop:
        get(f"{shop.url}/items/unannounced")
        assert shop.pid is not None
        os.kill(shop.pid, signal.SIGINT)
        shop.wait()
    assert "otelhealth starts with the first request" in shop.log.read_text()
    assert [span for span in receiver.spans() if attributes(span.attributes).get("url.path") == "/items/unannounced"]
