"""An agent as a user starts it: `otelhealth run` with a configuration of its own, in a process of its own."""

from __future__ import annotations

import json
import os
import re
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.measure import Child
from otelhealth.server.names import metric_name
from otelhealth.telemetry.metric import Metric

Checks = Mapping[str, Mapping[str, Any]]


def http_checks(count: int, port: int, every: str) -> dict[str, Mapping[str, Any]]:
    return {
        f"http-{n}": {"kind": "http", "url": f"http://127.0.0.1:{port}/health", "every": every} for n in range(count)
    }


def configuration(folder: Path, checks: Checks, receiver: int | None, *, takes: bool = False) -> Path:
    """A file; JSON is YAML too."""
    otlp = {"endpoint": f"http://127.0.0.1:{receiver}"} if receiver else {}
    told = {
        "service": {"name": "bench"},
        "server": {"listen": "127.0.0.1:0"},
        "store": {"path": str(folder / "store.db")},
        "telemetry": {"otlp": otlp, "receive": "127.0.0.1:0" if takes else None},
        "checks": dict(checks),
    }
    file = folder / "otelhealth.yaml"
    file.write_text(json.dumps(told, indent=1))
    return file


class AgentProcess(Child):
    """Runs until the `with` block ends; made, it answers at `url`."""

    def __init__(self, checks: Checks, receiver: int | None, *, cpu: int | None = None, takes: bool = False) -> None:
        self._folder = TemporaryDirectory(prefix="otelhealth-bench-")
        file = configuration(Path(self._folder.name), checks, receiver, takes=takes)
        quiet = {name: "" for name in os.environ if name.startswith(("OTEL_", "OTELHEALTH_"))}
        super().__init__("otelhealth", "run", "--log-level", "warning", "-c", str(file), cpu=cpu, environment=quiet)
        self.url = ""
        while not self.url:
            if found := re.match(r"\s+answers\s+(http://[^/]+)", self.line()):
                self.url = found[1]
        taking = re.match(r"\s+receives\s+http://[^:]+:(\d+)", self.line()) if takes else None
        self.takes_at = int(taking[1]) if taking else 0

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def figure(self, metric: Metric) -> float:
        """The sum of a metric's points in `/metrics`; 0.0 where there are none."""
        name = metric_name(metric.name, metric.unit, metric.instrument)
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith((f"{name}{{", f"{name} ")))

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._folder.cleanup()
