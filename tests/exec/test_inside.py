"""An application that holds an agent of its own, with another one beside it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

from tests.exec.executed import Executed, environment
from tests.stack.loopback import fetch, free_ports, until
from tests.supervise.running import ROOT
from tests.telemetry.receiver import Receiver, points

ASKED = 5
BIN = Path(sys.executable).parent


def answer(port: int, path: str) -> Any:
    """None where nobody answers."""
    try:
        return json.loads(fetch(f"http://127.0.0.1:{port}{path}"))
    except OSError:
        return None


def requests(report: dict[str, Any]) -> int:
    return int(report["performance"]["requests"])


def test_an_agent_in_the_application_leaves_to_the_one_beside_what_that_does(tmp_path: Path) -> None:
    receiver, (port, receive) = Receiver(), free_ports(("http", "otlp")).values()
    (tmp_path / "otelhealth.yaml").write_text(
        f"service: {{name: shop}}\ntelemetry: {{receive: '127.0.0.1:{receive}'}}\nchecks: {{load: {{kind: load}}}}\n"
    )
    uvicorn = [str(BIN / "uvicorn"), "tests.exec.apps.inside:app", "--port", str(port)]
    told = {
        "PYTHONPATH": str(ROOT),
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "300",
    }

    def ask(path: str) -> Any:
        return answer(port, path)

    with Executed(tmp_path, uvicorn, **told) as run:
        until(lambda: ask("/health/ready"), "answer of the application")
        assert all(ask("/items/7") == {"id": "7"} for _ in range(ASKED))
        until(lambda: requests(ask("/health/detailed")) == ASKED, "requests in the application's report")
        until(lambda: requests(run.get("/health/detailed")) == ASKED, "requests in the report beside")
        until(lambda: run.get("/health/checks/load")["last_result"] == "pass", "run of the check beside")
        assert set(ask("/health/detailed")["checks"]) == {"stock"}
        assert set(run.get("/health/detailed")["checks"]) == {"load", "child"}
    receiver.close()
    spans = Counter((span.name, resource["service.instance.id"]) for resource, _, span in receiver.scoped_spans())
    assert [count for (name, _), count in spans.items() if name == "GET /items/{id}"] == [ASKED]
    assert len([name for name, _ in spans if name == "check load"]) == 1
    assert len([name for name, _ in spans if name == "check stock"]) == 1
    counts = {
        resource["service.instance.id"]: point.count
        for resource, metric in receiver.scoped_metrics()
        if metric.name == "http.server.request.duration"
        for point in points(metric)
    }
    assert list(counts.values()) == [ASKED]


def test_it_leaves_them_to_the_one_that_opentelemetry_instrument_brought_too(tmp_path: Path) -> None:
    port, listen = free_ports(("http", "health")).values()
    (tmp_path / "otelhealth.yaml").write_text(
        f"server: {{listen: '127.0.0.1:{listen}'}}\nchecks: {{load: {{kind: load}}}}\n"
    )
    environ = environment(tmp_path, PYTHONPATH=str(ROOT))
    del environ["OTELHEALTH_SERVER__LISTEN"]
    words = ["opentelemetry-instrument", "uvicorn", "tests.exec.apps.inside:app", "--port", str(port)]
    process = subprocess.Popen([str(BIN / words[0]), str(BIN / words[1]), *words[2:]], env=environ, cwd=tmp_path)
    try:
        reports = [until(partial(answer, each, "/health/detailed"), "answer of both") for each in (port, listen)]
        assert [set(report["checks"]) for report in reports] == [{"stock"}, {"load"}]
    finally:
        process.terminate()
        process.wait(timeout=30)


def test_an_agent_that_a_program_makes_works_where_the_one_beside_has_address_and_store(tmp_path: Path) -> None:
    listen = free_ports(("health",))["health"]
    code = (
        "import asyncio, otelhealth\n"
        "async def main():\n"
        "    async with otelhealth.Agent() as agent: print(list(await agent.run_checks('load')))\n"
        "asyncio.run(main())"
    )
    python = [sys.executable, "-c", code]
    told = {"OTELHEALTH_SERVER__LISTEN": f"127.0.0.1:{listen}", "OTELHEALTH_CHECKS": "{load: {kind: load}}"}
    with Executed(tmp_path, python, **told) as run:
        assert run.process.communicate(timeout=30)[0] == "['load']\n"
        assert run.code() == 0
        assert f"the agent works and answers nowhere: cannot listen on 127.0.0.1:{listen}" in run.said()
