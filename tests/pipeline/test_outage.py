"""A Collector that goes and comes back while the agent runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.watching import Watch, changed, settings
from tests.stack.loopback import free_ports, until
from tests.stack.servers import Stack, stack


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("own")) as running:
        yield running


WAYS = {"over-http": "http/protobuf", "over-grpc": "grpc"}
LOAD: dict[str, Any] = {"kind": "load"}


def test_agents_go_on_exporting_once_the_collector_is_back(own: Stack, tmp_path: Path) -> None:
    """Over HTTP and gRPC at once, after a crash; an orderly stop is in test_export_path."""
    nobody = {"kind": "tcp", "host": "127.0.0.1", "port": free_ports(("any",))["any"]}
    configs = {service: config_of(own, service) for service in WAYS}
    with ExitStack() as running:
        agents = {name: running.enter_context(Watch(tmp_path / name, configs[name])) for name in configs}
        until(lambda: all(arrived(own, service, 0) for service in agents), "first traces and metrics")
        own.collector.kill()
        until(lambda: held(agents["over-http"]) and lost(agents["over-grpc"]), "exports that failed")
        own.collector.start()
        moment = time.time()
        until(lambda: all(arrived(own, service, moment) for service in agents), "runs after the outage")
        for service, agent in agents.items():
            agent.reload(configs[service] | {"checks": {"nobody": nobody}})
        until(lambda: all("nobody" in changed(own, service) for service in agents), "events after the outage")


def config_of(own: Stack, service: str) -> dict[str, Any]:
    """An export over gRPC gives up after a second, so that its loss is seen soon."""
    way = WAYS[service]
    url = own.collector.grpc_url if way == "grpc" else own.collector.otlp_url
    return settings(url, {"load": LOAD}, service, protocol=way, timeout="1s")


def arrived(own: Stack, service: str, moment: float) -> bool:
    """Whether a run that ended after that Unix time is known to both."""
    name = f'otelhealth_check_last_run_time_seconds{{job="{service}"}}'
    metrics = any(sample.value > moment for sample in own.prometheus.api.query(name))
    return metrics and bool(own.jaeger.api.search(service, max(moment, time.time() - 300), time.time()))


def lost(agent: Watch) -> bool:
    lines = agent.metrics().splitlines()
    return any("otel_sdk_exporter_span_exported" in line and "error_type" in line for line in lines)


def held(agent: Watch) -> bool:
    """Whether the spool keeps spans that could not be sent."""
    usage = next(line for line in agent.metrics().splitlines() if "otelhealth_spool_usage" in line and "traces" in line)
    return float(usage.split()[1]) > 0
