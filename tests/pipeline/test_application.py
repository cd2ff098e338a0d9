"""An instrumented application on the real line: a request's trace in Jaeger, its duration in Prometheus."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from tests.inside.asking import get
from tests.inside.serving import Application
from tests.pipeline.watching import SERVER
from tests.stack.loopback import until
from tests.stack.servers import Stack


@pytest.fixture
def shop(line: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("inside")
    with Application(folder, "fastapi_shop", line.collector.otlp_url) as running:
        yield running


def test_a_request_is_seen_by_its_trace_and_its_duration(line: Stack, shop: Application) -> None:
    trace_id, caller = secrets.token_hex(16), secrets.token_hex(8)
    assert get(f"{shop.url}/shop/shelves/7", traceparent=f"00-{trace_id}-{caller}-01")[0] == 200
    [span] = until(lambda: line.jaeger.api.trace(trace_id), "the request's trace in Jaeger")
    assert (span.name, span.kind, span.parent_id, span.service) == (
        "GET /shop/shelves/{number}",
        SERVER,
        caller,
        "shop",
    )
    assert span.attributes["http.response.status_code"] == 200
    selector = 'http_server_request_duration_seconds_count{job="shop", http_route="/shop/shelves/{number}"}'
    [sample] = until(lambda: line.prometheus.api.query(selector), "the request's duration in Prometheus")
    assert (sample.value, sample.labels["http_request_method"], sample.labels["http_response_status_code"]) == (
        1,
        "GET",
        "200",
    )
