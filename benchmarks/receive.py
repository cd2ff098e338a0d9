"""CPU of an OTLP request that is taken, kept and passed on, beside a bare Starlette route and a Collector."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.agents import AgentProcess
from benchmarks.load import traces
from benchmarks.measure import Child, Row, Spread, cpu_seconds, percentile, say
from tests.stack.servers import Collector

RATE = 200.0
SIZES = (12, 270)  # spans of one request: 2 kB and 50 kB


def measured(pid: int, load: Child, port: int, spans: int, seconds: float) -> tuple[float, float]:
    """(us of CPU of process `pid` for each request, what is still going on 1 s later included; p99 in s)."""
    before = cpu_seconds(pid)
    took = load.ask({"path": "/v1/traces", "rate": RATE, "port": port, "spans": spans, "seconds": seconds})
    time.sleep(1.5)  # batches that wait for company leave
    return 1e6 * (cpu_seconds(pid) - before) / len(took), percentile(took, 0.99)


def run(quick: bool) -> Iterator[Row]:
    rounds, seconds = (1, 0.5) if quick else (3, 3.0)
    with (
        TemporaryDirectory(prefix="otelhealth-bench-") as folder,
        Child("benchmarks.peers", "receiver") as target,
        Child("benchmarks.plain", "ours") as plain,
        Child("benchmarks.load") as load,
    ):
        otlp, plain_port = target.said(), plain.said()
        load.said()
        url = f"http://127.0.0.1:{otlp}"
        with (
            Collector(Path(folder), jaeger_url=url, prometheus_url=url) as collector,
            AgentProcess({}, otlp, takes=True) as agent,
        ):
            peers = {
                "bare": (plain.pid, plain_port),
                "collector": (collector.pid or 0, collector.ports["otlp_http"]),
                "agent": (agent.pid, agent.takes_at),
            }
            for spans in SIZES:
                yield compared(peers, load, spans, rounds, seconds)


def compared(peers: dict[str, tuple[int, int]], load: Child, spans: int, rounds: int, seconds: float) -> Row:
    costs: dict[str, list[float]] = {name: [] for name in peers}
    slowest = []
    for number in range(rounds):
        for name, (pid, port) in peers.items():
            cost, p99 = measured(pid, load, port, spans, seconds)
            costs[name].append(cost)
        slowest.append(p99)
        say(f"{number + 1} of {rounds}: " + ", ".join(f"{name} {costs[name][-1]:.0f} us" for name in peers))
    bare, collector, agent = (Spread(costs[name]) for name in ("bare", "collector", "agent"))
    ratio = agent.over(collector)
    return Row(
        f"CPU of one OTLP request of {len(traces(spans)) / 1000:.0f} kB at {RATE:g}/s: taken, kept on disk, passed on",
        "1.5 x the Collector of agent.yaml",
        "",
        f"{ratio.text()} x: {agent.text('.0f')} us against {collector.text('.0f')}; a bare Starlette route that keeps"
        f" nothing {bare.text('.0f')}; answered within {Spread(slowest).text('.1f', 1e3)} ms (p99)",
        ratio.median > 1.5,
    )
