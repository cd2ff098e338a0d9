"""CPU of one plain HTTP check on a new connection at 500/s by the whole agent, beside a bare aiohttp GET loop."""

from __future__ import annotations

import time
from collections.abc import Iterator

from benchmarks import split
from benchmarks.agents import AgentProcess, http_checks
from benchmarks.measure import Child, Row, Spread, cpu_seconds, say

RATE = 500


def measured(pid: int, target: Child, seconds: float) -> float:
    """us of CPU of process `pid` for each request that reached the target meanwhile."""
    count, before = target.ask(), cpu_seconds(pid)
    time.sleep(seconds)
    used = cpu_seconds(pid) - before
    return 1e6 * used / float(target.ask() - count)


def pair(target: Child, port: int, receiver: int, seconds: float, settling: float) -> tuple[float, float]:
    """(bare loop, agent)."""
    with Child("benchmarks.bare", f"http://127.0.0.1:{port}/health", str(RATE)) as bare:
        bare.said()
        time.sleep(settling / 4)
        theirs = measured(bare.pid, target, seconds)
    with AgentProcess(http_checks(2 * RATE, port, "2s"), receiver) as agent:
        time.sleep(settling)
        ours = measured(agent.pid, target, seconds)
    return theirs, ours


def run(quick: bool) -> Iterator[Row]:
    rounds, seconds, settling = (1, 1.0, 2.0) if quick else (3, 15.0, 8.0)  # 15 s hold one export of all metrics
    bare, agent = [], []
    with Child("benchmarks.peers", "answering") as target, Child("benchmarks.peers", "receiver") as receiver:
        port, otlp = target.said(), receiver.said()
        for number in range(rounds):
            theirs, ours = pair(target, port, otlp, seconds, settling)
            say(f"pair {number + 1} of {rounds}: bare {theirs:.0f} us, agent {ours:.0f} us")
            bare.append(theirs)
            agent.append(ours)
        shares = split.measure(port, otlp, RATE, quick)
    ratio = Spread(agent).over(Spread(bare))
    say(f"of the agent's: {shares}")
    yield Row(
        "CPU of one plain HTTP check on a new connection, 500/s, all included",
        "1.25 x a bare aiohttp GET loop",
        "1.0 x",
        f"{ratio.text()} x: {Spread(agent).text('.0f')} us against {Spread(bare).text('.0f')}; {shares}",
        ratio.median > 1.25,
    )
