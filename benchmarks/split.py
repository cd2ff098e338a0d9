"""Where the CPU of one HTTP check goes: the agent's rooms with parts of the beat left out, each at the same pace.

python -m benchmarks.split DEPTH PORT RECEIVER RATE SECONDS
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import uvloop
from opentelemetry import trace

from benchmarks.agents import configuration, http_checks
from benchmarks.measure import Child, Spread, say
from otelhealth import agent
from otelhealth.agent import Agent
from otelhealth.checks.base import Check
from otelhealth.checks.http import Exchange
from otelhealth.checks.request import Request
from otelhealth.checks.url import Url
from otelhealth.clock import Clock
from otelhealth.config.root import Config
from otelhealth.engine.runner import TIMEOUT, Runner
from otelhealth.model import CheckResult, Surroundings
from otelhealth.rounds import Rounds
from otelhealth.telemetry.windows import HTTP_CHECKS

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LOOP, SENDING, STORE = "loop", "export threads", "store thread"


class Empty(Rounds):
    """Starts what is due, and does nothing."""

    runs = 0

    async def beat(self, check: Check, due: float) -> None:  # noqa: ARG002 - the scheduler's words
        Empty.runs += 1


class Wire(Empty):
    """One request, bare."""

    request: Request | None = None

    async def beat(self, check: Check, due: float) -> None:
        await super().beat(check, due)
        if self.request is None:
            self.request = Request("GET", Url.parse(str(check.url)))  # type: ignore[attr-defined]  # all are http
        await Exchange().run(self.request, TRACEPARENT)


class Probed(Empty):
    """The kind's probe by the runner: deadline, measurements, levels."""

    def __init__(self, config: Config, clock: Clock, *more: Any) -> None:
        super().__init__(config, clock, *more)
        self.runner = Runner(clock, self.threads, Surroundings(), trace.NoOpTracer())

    async def beat(self, check: Check, due: float) -> None:
        await super().beat(check, due)
        await self.runner.run(check, trace.INVALID_SPAN)


class Traced(Empty):
    """Root and CLIENT span, encoded."""

    async def beat(self, check: Check, due: float) -> None:
        await super().beat(check, due)
        await self.spanned(check, due)

    async def spanned(self, check: Check, due: float) -> CheckResult:
        root = self.telemetry.spans.start_run(check, self.clock.monotonic() - due)
        result = await self.runner.run(check, root)
        self.telemetry.spans.finish_run(root, result, self.board.states[check.name].status)
        return result


class Judged(Traced):
    """The state moves, the series count."""

    async def beat(self, check: Check, due: float) -> None:
        Empty.runs += 1
        result = await self.spanned(check, due)
        state = self.board.states[check.name]
        state.apply(result, self.clock.time())
        self.board.touch(check.name)
        self.instruments.record(check, result, state.status)
        self.telemetry.windows.add(HTTP_CHECKS, result.duration, False)
        self.scheduler.hurry(check.name, state.undecided)
        self.scheduler.slow(check.name, result.error_type == TIMEOUT)


class Kept(Rounds):
    """All of it."""

    async def beat(self, check: Check, due: float) -> None:
        Empty.runs += 1
        await super().beat(check, due)


DEPTHS: dict[str, type[Rounds]] = {
    "scheduling": Empty,
    "wire": Wire,
    "runner and kind": Probed,
    "spans": Traced,
    "state and series": Judged,
    "store": Kept,
}


def threads() -> dict[str, float]:
    """Seconds of CPU by thread so far."""
    found = dict.fromkeys((LOOP, SENDING, STORE), 0.0)
    for thread in threading.enumerate():
        spent = int(Path(f"/proc/self/task/{thread.native_id}/schedstat").read_text().split()[0]) / 1e9
        if thread is threading.main_thread():
            found[LOOP] += spent
        else:
            found[STORE if thread.name.endswith("store") else SENDING] += spent
    return found


async def one(depth: str, port: int, receiver: int, rate: int, seconds: float) -> dict[str, float]:
    """us of CPU per run, by thread."""
    agent.Rounds = DEPTHS[depth]  # type: ignore[attr-defined]  # imported there, made there
    with TemporaryDirectory() as folder:
        file = configuration(Path(folder), http_checks(2 * rate, port, "2s"), receiver)
        async with Agent(file):
            await asyncio.sleep(min(6.0, seconds))
            before, runs = threads(), Empty.runs
            await asyncio.sleep(seconds)
            after, runs = threads(), Empty.runs - runs
    return {name: 1e6 * (after[name] - before[name]) / runs for name in after}


def measure(port: int, receiver: int, rate: int, quick: bool) -> str:
    """The shares, in words."""
    seconds, rounds = (0.3, 1) if quick else (7.5, 2)
    loop: dict[str, list[float]] = {depth: [] for depth in DEPTHS}
    beside: dict[str, float] = {}
    for number in range(rounds):
        for depth in DEPTHS:
            with Child("benchmarks.split", depth, str(port), str(receiver), str(rate), str(seconds)) as child:
                told = child.said()
            loop[depth].append(told.pop(LOOP))
            beside = told
        say(f"split {number + 1} of {rounds}")
    parts, below = [], 0.0
    for depth in DEPTHS:
        total = Spread(loop[depth]).median
        parts.append(f"{depth} {total - below:.0f}")
        below = total
    return ", ".join([*parts, *(f"{name} {spent:.0f}" for name, spent in beside.items())])


if __name__ == "__main__":
    logging.getLogger("otelhealth").setLevel(logging.ERROR)
    print(
        json.dumps(
            uvloop.run(one(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
        ),
        flush=True,
    )
