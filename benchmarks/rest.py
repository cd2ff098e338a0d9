"""At rest: 20 HTTP checks every 10 s, exporting every 15 s; and the way from nothing to the first answer."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterator

from benchmarks.agents import AgentProcess, http_checks
from benchmarks.measure import Child, Row, Spread, cpu_seconds, memory, say

CHECKS, EVERY = 20, 10
IMPORTS = "starlette.applications", "starlette.routing", "pydantic", "uvicorn", "opentelemetry.sdk.trace"


def idle(port: int, otlp: int, windows: int, seconds: float, settling: float) -> tuple[Spread, Spread, float]:
    """CPU as a share of a core, of the bare loop and of the agent side by side; the agent's PSS in bytes."""
    bare, ours = [], []
    with (
        Child("benchmarks.bare", f"http://127.0.0.1:{port}/health", str(CHECKS / EVERY)) as loop,
        AgentProcess(http_checks(CHECKS, port, f"{EVERY}s"), otlp) as agent,
    ):
        time.sleep(settling)
        for number in range(windows):
            before = cpu_seconds(loop.pid), cpu_seconds(agent.pid)
            time.sleep(seconds)
            bare.append((cpu_seconds(loop.pid) - before[0]) / seconds)
            ours.append((cpu_seconds(agent.pid) - before[1]) / seconds)
            say(f"{number + 1} of {windows}: bare {100 * bare[-1]:.2f} % of a core, agent {100 * ours[-1]:.2f} %")
        return Spread(bare), Spread(ours), memory(agent.pid)


def first_answer(port: int, otlp: int) -> tuple[float, float]:
    """(seconds, seconds of CPU) from starting the process to its first answer of `/health`.

    It is asked when it says where it answers: to ask until it does would take CPU from it meanwhile.
    """
    with AgentProcess(http_checks(CHECKS, port, f"{EVERY}s"), otlp) as agent:
        with urllib.request.urlopen(f"{agent.url}/health", timeout=5) as answer:
            answer.read()
        return time.monotonic() - agent.begun, cpu_seconds(agent.pid)


def imports() -> tuple[float, float]:
    """The same of a process that only imports."""
    with Child("benchmarks.imports", *IMPORTS) as child:
        child.said()
        return time.monotonic() - child.begun, cpu_seconds(child.pid)


def run(quick: bool) -> Iterator[Row]:
    windows, seconds, settling, starts = (1, 1.0, 2.0, 1) if quick else (4, 15.0, 18.0, 9)
    with Child("benchmarks.peers", "answering") as target, Child("benchmarks.peers", "receiver") as receiver:
        port, otlp = target.said(), receiver.said()
        bare, agent, pss = idle(port, otlp, windows, seconds, settling)
        pairs = [(imports(), first_answer(port, otlp)) for _ in range(starts)]
    ratio = agent.over(bare)
    work = f"at rest ({CHECKS} http checks every {EVERY} s, exporting every 15 s)"
    yield Row(
        f"{work}: CPU",
        "1.25 x the bare aiohttp loop, 0.6 % of a core",
        "1.0 x",
        f"{ratio.text()} x; {agent.text('.2f', 100)} % against {bare.text('.2f', 100)}",
        ratio.median > 1.25 or agent.median > 0.006,
    )
    yield Row(f"{work}: PSS", "50 MB", "45 MB", f"{pss / 1e6:.1f} MB", pss > 50e6)
    importing, starting = (Spread([pair[which][0] for pair in pairs]) for which in (0, 1))
    cpu = Spread([ours[1] / theirs[1] for theirs, ours in pairs])
    yield Row(
        "start to first answered `/health`",
        "2 x the import of starlette, pydantic, uvicorn and the SDK's trace module",
        "1.5 x",
        f"{starting.over(importing).text()} x: {starting.text('.0f', 1e3)} ms against {importing.text('.0f', 1e3)};"
        f" by CPU {cpu.text()} x",
        starting.over(importing).median > 2,
    )
