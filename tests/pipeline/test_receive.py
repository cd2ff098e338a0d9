"""A service that sends its OTLP to the agent beside it, on the real line: what it tells is in Jaeger and Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.watching import SERVER, Watch, settings
from tests.stack.loopback import fetch, until
from tests.stack.programs import Shop
from tests.stack.servers import Stack


@pytest.fixture(scope="module")
def agent(line: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    config = settings(line.collector.otlp_url, {}, "beside")
    config["telemetry"]["receive"] = "127.0.0.1:0"
    with Watch(tmp_path_factory.mktemp("beside"), config) as running:
        yield running


def receiver(agent: Watch) -> dict[str, Any]:
    found: dict[str, Any] = agent.report()["agent"]["receiver"]
    return found


class Beside(Shop):
    """The demo's shop under a name of its own, telling its figures each second."""

    def environment(self) -> dict[str, str]:
        told = {"OTEL_SERVICE_NAME": "shop-beside", "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
        return {**super().environment(), **told}


def test_a_request_is_a_trace_a_histogram_and_the_performance_of_the_service(
    line: Stack, agent: Watch, tmp_path: Path
) -> None:
    since = time.time()
    with Beside(tmp_path / "shop", receiver(agent)["address"]) as shop:
        for _ in range(20):
            fetch(f"{shop.url}/items")
        traces = until(lambda: line.jaeger.api.search("shop-beside", since - 1, time.time() + 1), "a trace in Jaeger")
        [served] = [span for span in next(iter(traces.values())) if span.kind == SERVER]
        assert served.service == "shop-beside"
        query = 'sum(http_server_request_duration_seconds_count{job="shop-beside", http_route="/items"})'
        until(lambda: any(sample.value >= 20 for sample in line.prometheus.api.query(query)), "20 requests")
        until(lambda: agent.report()["performance"]["requests"] >= 20, "20 requests in the agent's own figures")
        performance = agent.report()["performance"]
        said = receiver(agent)
    assert performance["source"] == "application"
    assert 0 < performance["response_times"]["p50_ms"] < 5000
    assert said["refused"] == {}
    assert said["forwarded"] == ["traces", "metrics", "logs"]
    assert min(said["requests"]["traces"], said["requests"]["metrics"]) > 0
    taken = 'otelhealth_receiver_requests_total{job="beside", otelhealth_outcome="forwarded"}'
    until(lambda: any(sample.value > 0 for sample in line.prometheus.api.query(taken)), "requests that were taken")
