"""The kind `otlp` on the real line: it passes end to end, and names the link that is broken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.watching import Watch, settings
from tests.stack.loopback import until
from tests.stack.server import Server
from tests.stack.servers import Collector, Stack, stack


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("own")) as running:
        yield running


@pytest.fixture(scope="module")
def agent(own: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    with Watch(tmp_path_factory.mktemp("agent"), watching_the_way(own, own.collector)) as running:
        yield running


def watching_the_way(own: Stack, collector: Collector, service: str = "export") -> dict[str, Any]:
    addresses = {"health": collector.health_url, "jaeger": own.jaeger.url, "prometheus": own.prometheus.url}
    checks = {"export": {"kind": "otlp", "within": "5s", **addresses}}
    return settings(collector.otlp_url, checks, service, timeout="2s")


def says(agent: Watch, result: str, *words: str) -> dict[str, Any]:
    """The record, once the last run ended so."""

    def found() -> dict[str, Any] | None:
        record = agent.record("export")
        return record if record["last_result"] == result and all(word in record["message"] for word in words) else None

    record = until(found, f"{result}: {words}", within=30)
    assert record
    return record


WHOLE = (
    *("the Collector takes OTLP; it is healthy; requests waiting: ", "; the trace of "),
    *(" is in Jaeger; the run of ", " is in Prometheus"),
)


def test_a_canary_goes_the_whole_way(own: Stack, agent: Watch) -> None:
    record = says(agent, "pass", *WHOLE)
    measured = {name: found["value"] for name, found in record["measurements"].items()}
    assert measured.keys() >= {"collector_duration", "trace_age", "metric_age"}
    assert 0 < measured["trace_age"] < 5
    assert 0 <= measured["metric_age"] < 5
    name = 'otelhealth_otlp_trace_age_seconds{job="export"}'
    assert until(lambda: own.prometheus.api.query(name), "the canary's age in Prometheus")[0].value < 5


@pytest.mark.parametrize(
    ("link", "others"),
    [
        ("Collector -> Jaeger", ("the Collector takes OTLP", "is in Prometheus")),
        ("Collector -> Prometheus", ("the Collector takes OTLP", "is in Jaeger")),
        ("agent -> Collector", ()),
    ],
)
def test_the_link_that_is_broken_is_named_and_then_whole_again(
    own: Stack, agent: Watch, link: str, others: tuple[str, ...]
) -> None:
    servers: dict[str, Server] = {"Jaeger": own.jaeger, "Prometheus": own.prometheus, "Collector": own.collector}
    server = servers[link.rsplit(maxsplit=1)[-1]]
    says(agent, "pass", *WHOLE)
    server.stop()
    record = says(agent, "fail", f"{link}: ", "refused")
    assert record["error_type"] == "connection_refused"
    working = "; ".join(record["details"]["working"])
    assert all(word in working for word in others), working
    until(lambda: agent.record("export")["status"] == "fail", "state fail")
    server.start()
    says(agent, "pass", *WHOLE)


def test_a_collector_that_takes_all_and_delivers_nothing_is_found_out_by_the_canary(own: Stack, tmp_path: Path) -> None:
    with (
        Collector(tmp_path / "collector") as collector,  # whose exporters lead nowhere
        Watch(tmp_path / "agent", watching_the_way(own, collector, "swallowed")) as agent,
    ):
        broken = ("Collector -> Jaeger: the trace of ", "Collector -> Prometheus: the metric of ")
        record = says(agent, "fail", *broken)
        assert record["error_type"] == "trace_missing"
        assert record["details"]["working"][:2] == ["the Collector takes OTLP", "it is healthy"]
    assert own.jaeger.api.search("swallowed", time.time() - 60, time.time()) == {}
