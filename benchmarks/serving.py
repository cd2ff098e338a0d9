"""`/health` under load while 1,000 checks hang: CPU per request beside a bare Starlette route, and who must wait."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from benchmarks.agents import AgentProcess, Checks, http_checks
from benchmarks.measure import Child, Row, Spread, cpu_of, cpu_seconds, percentile, say
from otelhealth.telemetry import names

RATE = 1000.0


def hang() -> None:
    """A sync check that does not come back."""
    time.sleep(3600)


def hanging(port: int, count: int) -> Checks:
    """Checks whose target never answers, and among them as many blocked threads as the agent lets there be."""
    sync = {"kind": "python", "call": f"{__name__}:hang", "every": "5s", "timeout": "4s"}
    return {**http_checks(count - count // 20, port, "5s"), **{f"python-{n}": sync for n in range(count // 20)}}


def per_request(pid: int, load: Child, question: dict[str, Any], idle: float = 0.0) -> float:
    """us of CPU of process `pid` for each request, without the `idle` share of a core that it uses anyway."""
    begun, before = time.monotonic(), cpu_seconds(pid)
    answered = len(load.ask(question))
    used = cpu_seconds(pid) - before - idle * (time.monotonic() - begun)
    return 1e6 * used / answered


def run(quick: bool) -> Iterator[Row]:
    rounds, seconds, count, settling = (1, 0.5, 50, 3.0) if quick else (4, 4.0, 1000, 40.0)
    bare, uvicorn, ours, live = [], [], [], []
    with (
        Child("benchmarks.peers", "hanging") as target,
        Child("benchmarks.plain", "ours") as plain,
        Child("benchmarks.plain", "uvicorn") as stock,
        Child("benchmarks.load") as load,
        AgentProcess(hanging(target.said(), count), None) as agent,
    ):
        load.said()
        ports = {"path": "/health", "rate": RATE, "seconds": seconds}
        plain_port, stock_port = plain.said(), stock.said()
        time.sleep(settling)
        running = agent.figure(names.RUNNING)
        for number in range(rounds):
            idle = cpu_of(agent.pid, seconds) / seconds
            bare.append(per_request(plain.pid, load, {**ports, "port": plain_port}))
            uvicorn.append(per_request(stock.pid, load, {**ports, "port": stock_port}))
            ours.append(per_request(agent.pid, load, {**ports, "port": agent.port}, idle))
            asked = {"port": agent.port, "path": "/health/live", "rate": 200.0, "seconds": 2 * seconds}
            live.append(percentile(load.ask(asked), 0.99))
            say(
                f"{number + 1} of {rounds}: bare {bare[-1]:.0f} us, agent {ours[-1]:.0f} us (hanging checks"
                f" {100 * idle:.1f} % of a core), live p99 {1e3 * live[-1]:.1f} ms, {running:g} run"
            )
    ratio = Spread(ours).over(Spread(bare))
    yield Row(
        f"`/health` at {RATE:g}/s: CPU per request, the hanging checks' own taken off",
        "1.25 x a bare Starlette route on the same server",
        "1.1 x",
        f"{ratio.text()} x: {Spread(ours).text('.0f')} us against {Spread(bare).text('.0f')}"
        f" (on uvicorn as it comes {Spread(uvicorn).text('.0f')})",
        ratio.median > 1.25,
    )
    yield Row(
        f"`/health/live` while {count:,} checks hang: p99",
        "50 ms",
        "",
        f"{Spread(live).text('.1f', 1e3)} ms",
        Spread(live).median > 0.05,
    )
