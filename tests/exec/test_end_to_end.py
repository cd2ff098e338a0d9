"""A service that knows nothing of OpenTelemetry on the real line: its traces in Jaeger, its durations in Prometheus."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.exec.auto import auto_bin
from tests.exec.executed import Executed, environment
from tests.pipeline.watching import CLIENT, SERVER
from tests.stack.loopback import fetch, free_ports, until
from tests.stack.queries import Span
from tests.stack.servers import Stack, stack
from tests.supervise.running import ROOT


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


class Shop:
    """Where it answers, and what its process was given."""

    def __init__(self, line: Stack, service: str) -> None:
        self.port = free_ports(("http",))["http"]
        self.url = f"http://127.0.0.1:{self.port}"
        self.service = service
        self.since = time.time()
        self.environ = {
            "PYTHONPATH": str(ROOT),
            "PRICES": f"{self.url}/price",
            "OTEL_SERVICE_NAME": service,
            "OTEL_EXPORTER_OTLP_ENDPOINT": line.collector.otlp_url,
            "OTEL_METRIC_EXPORT_INTERVAL": "500",
        }
        self.command = ["uvicorn", "tests.exec.apps.shop:app", "--port", str(self.port)]

    def ask(self) -> None:
        found = json.loads(until(self._item, "answer of the shop"))
        assert (found["stock"], found["price"]) == (42, 3)

    def _item(self) -> bytes:
        """Empty where nobody answers."""
        try:
            return fetch(f"{self.url}/items/7")
        except OSError:
            return b""

    def trace(self, line: Stack) -> list[Span]:
        """That of a request for an item, whole: four spans."""
        found = line.jaeger.api.search(self.service, self.since - 1, time.time() + 1)
        traces = [spans for spans in found.values() if any(span.name == "GET /items/{id}" for span in spans)]
        return next((spans for spans in traces if len(spans) == 4), [])


def check_trace(spans: list[Span], service: str) -> None:
    """The server span with its route on top, below it the database's and the client's, below that the server's."""
    by_id = {span.span_id: span for span in spans}
    [root] = [span for span in spans if span.parent_id not in by_id]
    assert (root.kind, root.name, root.attributes["http.route"]) == (SERVER, "GET /items/{id}", "/items/{id}")
    assert {span.service for span in spans} == {service}
    [database] = [span for span in spans if "db.system.name" in span.attributes or "db.system" in span.attributes]
    [asked] = [span for span in spans if span.kind == CLIENT and "url.full" in span.attributes]
    [price] = [span for span in spans if span.name == "GET /price"]
    assert (database.parent_id, asked.parent_id, price.parent_id) == (root.span_id, root.span_id, asked.span_id)
    assert database.kind == CLIENT
    assert asked.attributes["http.response.status_code"] == 200


def check_durations(line: Stack, service: str) -> None:
    """Its histogram, with its route, under the instance whose process is watched too."""
    wanted = f'http_server_request_duration_seconds_count{{job="{service}", http_route="/items/{{id}}"}}'
    [sample] = until(lambda: line.prometheus.api.query(wanted), "durations in Prometheus")
    assert sample.labels["http_response_status_code"] == "200"
    memory = f'process_memory_usage_bytes{{job="{service}", instance="{sample.labels["instance"]}"}}'
    until(lambda: line.prometheus.api.query(memory), "memory of the service")


def performance(report: dict[str, Any]) -> tuple[str | None, bool]:
    return report["performance"]["source"], report["performance"]["requests"] > 0


def test_below_exec_it_is_traced_measured_and_watched(line: Stack, tmp_path: Path) -> None:
    shop = Shop(line, "shop-exec")
    program = str(auto_bin() / "otelhealth")
    with Executed(
        tmp_path, [str(auto_bin() / shop.command[0]), *shop.command[1:]], program=program, **shop.environ
    ) as run:
        shop.ask()
        spans = until(lambda: shop.trace(line), "trace of a request")
        check_trace(spans, shop.service)
        check_durations(line, shop.service)
        until(lambda: performance(run.get("/health/detailed")) == ("application", True), "requests in the report")
        assert run.get("/health")["service"] == shop.service
        assert run.get("/health/detailed")["checks"]["child"]["status"] == "pass"


@contextmanager
def instrumented(folder: Path, shop: Shop, listen: int) -> Iterator[None]:
    environ = environment(folder, **shop.environ, OTELHEALTH_SERVER__LISTEN=f"127.0.0.1:{listen}")
    programs = [str(auto_bin() / name) for name in ("opentelemetry-instrument", shop.command[0])]
    command = [*programs, *shop.command[1:]]
    process = subprocess.Popen(command, env=environ, cwd=folder)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def test_under_opentelemetry_instrument_it_holds_its_agent_itself(line: Stack, tmp_path: Path) -> None:
    shop, listen = Shop(line, "shop-zero"), free_ports(("http",))["http"]
    with instrumented(tmp_path, shop, listen):
        shop.ask()
        check_trace(until(lambda: shop.trace(line), "trace of a request"), shop.service)
        check_durations(line, shop.service)
        assert json.loads(fetch(f"http://127.0.0.1:{listen}/health"))["service"] == shop.service

        def report() -> dict[str, Any]:
            found: dict[str, Any] = json.loads(fetch(f"http://127.0.0.1:{listen}/health/detailed", any_status=True))
            return found

        until(lambda: performance(report()) == ("application", True), "requests in the report")
