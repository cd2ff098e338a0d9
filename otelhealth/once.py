"""Each check once, this run judged alone: no schedule, no debouncing, no store, nothing exported."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from opentelemetry import trace

from otelhealth.checks import resolve
from otelhealth.checks.base import Check
from otelhealth.clock import SYSTEM
from otelhealth.config.root import Config
from otelhealth.engine.board import Board
from otelhealth.engine.runner import Runner
from otelhealth.engine.threads import ThreadLane
from otelhealth.errors import OtelHealthError, near
from otelhealth.model import Surroundings
from otelhealth.records import CheckRecord
from otelhealth.redaction import Redactor

AT_ONCE = 64


def chosen(checks: Mapping[str, Check], names: tuple[str, ...]) -> list[Check]:
    """The checks of these names, all of them without any; raises OtelHealthError for a strange one."""
    for name in names:
        if name not in checks:
            remedy = near(name, checks, f"there are {', '.join(sorted(checks)) or 'none'}")
            raise OtelHealthError(f"there is no check {name!r}", remedy)
    return [checks[name] for name in names or checks]


def _alone(check: Check) -> Check:
    """Judged by its first run."""
    threshold = check.threshold.model_copy(update={"max_consecutive_failures": 1, "rise": 1})
    return check.model_copy(update={"threshold": threshold})


async def run_once(config: Config, *names: str) -> Mapping[str, CheckRecord]:
    """The records of these checks (of all without names) after one run each; OtelHealthError for a strange name."""
    checks = [_alone(check) for check in chosen(config.checks, names)]
    board = Board(config.status)
    around = Surroundings(config.telemetry.export_path())
    runner = Runner(SYSTEM, ThreadLane(), around, trace.NoOpTracer(), redact=Redactor(config.secrets))
    room = asyncio.Semaphore(AT_ONCE)
    for check in checks:
        board.put(check, SYSTEM.time())

    async def one(check: Check) -> None:
        async with room:
            result = await runner.run(check, trace.INVALID_SPAN)
        board.states[check.name].apply(result, SYSTEM.time())
        board.touch(check.name)

    await asyncio.gather(*(one(check) for check in checks if check.enabled))
    await resolve.close()
    now = SYSTEM.time()
    return {check.name: record for check in checks if (record := board.record(check.name, now)) is not None}
