"""A service, and the agent that watches it, on a running line; and what is asked of them from outside."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.stack.loopback import fetch, free_ports, until
from tests.stack.programs import Agent, Shop
from tests.stack.queries import Exemplar, LogRecord, Span
from tests.stack.servers import Stack

Series = frozenset[tuple[str, str]]
Names = set[tuple[str, frozenset[str]]]
OF_THE_RESOURCE = {"job", "instance", "deployment_environment_name", "host_name"}
INTERNAL, SERVER, CLIENT = 1, 2, 3
UNSET, ERROR = 0, 2


def settings(endpoint: str, checks: Mapping[str, Any], service: str = "shop", **otlp: Any) -> dict[str, Any]:
    """Of an agent that runs its checks every second and exports at once."""
    return {
        "service": {"name": service, "version": "1.4.2", "environment": "test"},
        "telemetry": {
            "otlp": {"endpoint": endpoint, **otlp},
            "traces": {"delay": "100ms"},
            "metrics": {"interval": "500ms"},
            "logs": {"delay": "100ms"},
        },
        "store": {"path": "otelhealth.db"},
        "defaults": {"every": "1s", "timeout": "3s", "threshold": {"max_consecutive_failures": 2}},
        "checks": dict(checks),
    }


class Watch(Agent):
    """An agent whose configuration is written by a test."""

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        super().__init__(folder, folder / "otelhealth.yaml")
        self.write(config)

    def write(self, config: Mapping[str, Any]) -> None:
        """As an editor does it: the new file is there as a whole."""
        fresh = self.config.with_suffix(".new")
        fresh.write_text(json.dumps(config))
        fresh.replace(self.config)

    def reload(self, config: Mapping[str, Any]) -> None:
        self.write(config)
        if self._process is not None:
            self._process.send_signal(signal.SIGHUP)

    def report(self) -> dict[str, Any]:
        """`/health/detailed`, whatever its status code."""
        found: dict[str, Any] = json.loads(fetch(f"{self.url}/health/detailed", any_status=True))
        return found

    def record(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(fetch(f"{self.url}/health/checks/{name}"))
        return found

    def metrics(self) -> str:
        return fetch(f"{self.url}/metrics").decode()


@dataclass(frozen=True)
class Watched:
    """All of them, and the moment from which on they ran."""

    line: Stack
    shop: Shop
    agent: Watch
    since: float
    config: dict[str, Any]

    def traces(self, name: str) -> list[list[Span]]:
        """Of the runs of a check, in their order, each with its root first."""
        found = self.line.jaeger.api.search("shop", self.since - 1, time.time() + 1, limit=1000)
        traces = [sorted(spans, key=lambda span: (span.parent_id != "", span.start)) for spans in found.values()]
        runs = [spans for spans in traces if spans[0].name == f"check {name}"]
        return sorted(runs, key=lambda spans: spans[0].start)

    def series(self, selector: str) -> set[Series]:
        """The label sets of every series with a sample in the last minutes, names included."""
        found = self.line.prometheus.api.query(f"last_over_time({selector}[10m])")
        return {frozenset(sample.labels.items()) for sample in found}

    def events(self) -> list[LogRecord]:
        """What this agent has told, in the Collector's file."""
        return [record for record in self.line.collector.logs() if record.resource["service.name"] == "shop"]

    def exemplars(self, expression: str) -> list[Exemplar]:
        return self.line.prometheus.api.exemplars(expression, self.since - 60, time.time() + 60)

    def value(self, expression: str) -> float | None:
        found = self.line.prometheus.api.query(expression)
        return found[0].value if found else None


def checks_of(shop: Shop) -> dict[str, Any]:
    """One that fails inside an instrumented service, one that passes there, one that nobody answers, and the host."""
    return {
        "checkout": {"kind": "http", "url": f"{shop.url}/checkout", "tier": 1, "groups": ["ready"]},
        "items": {"kind": "http", "url": f"{shop.url}/items", "expect": {"json": {"$.items": "length > 0"}}},
        "nobody": {"kind": "tcp", "host": "127.0.0.1", "port": free_ports(("any",))["any"], "peer": "billing"},
        "stock": {"kind": "sqlite", "path": str(shop.database), "query": "SELECT count(*) AS items FROM items"},
        **{kind: {"kind": kind, "category": "system"} for kind in ("cpu", "memory", "disk", "load", "network", "fds")},
    }


@contextmanager
def watching(line: Stack, folder: Path, interval: str = "500ms") -> Iterator[Watched]:
    """Returns when every check has been judged; metrics are exported at that interval."""
    since = time.time()
    with Shop(folder / "shop", line.collector.otlp_url, payments="down") as shop:
        config = settings(line.collector.otlp_url, checks_of(shop))
        config["telemetry"]["metrics"]["interval"] = interval
        with Watch(folder / "agent", config) as agent:
            until(lambda: decided(agent), "state of every check")
            yield Watched(line, shop, agent, since, config)


def decided(agent: Watch) -> bool:
    return all(check["status"] != "unknown" for check in agent.report()["checks"].values())


def instance_of(watched: Watched) -> str:
    """The agent's, as Prometheus knows it."""
    found = until(
        lambda: watched.series('otelhealth_check_status{job="shop", otelhealth_check_name="cpu"}'), "state of cpu"
    )
    [instance] = {dict(series)["instance"] for series in found}
    return instance


def names_of(watched: Watched, selector: str) -> Names:
    """Names with the keys of their own labels."""
    found = [dict(series) for series in watched.series(selector)]
    return {(labels.pop("__name__"), frozenset(labels) - OF_THE_RESOURCE) for labels in found}


def changed(line: Stack, service: str) -> set[str]:
    """The checks of a service whose state has changed, as the Collector's file tells it."""
    return {
        record.attributes["otelhealth.check.name"]
        for record in line.collector.logs()
        if record.event == "otelhealth.check.state_change" and record.resource["service.name"] == service
    }
