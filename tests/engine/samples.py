"""Checks for the engine's tests: real ones, whose probe is a function of the test."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import PrivateAttr

from otelhealth.checks.base import Check, Context, passed
from otelhealth.model import CheckResult, Measurement, Status

Probe = Callable[[Context], Awaitable[CheckResult]]
NOW = 1_700_000_000.0


class Sample(Check):
    """Its probe is given by the test."""

    kind: Literal["sample"] = "sample"
    in_process = True
    _acts: list[Probe] = PrivateAttr(default_factory=list)

    def doing(self, act: Probe) -> Sample:
        self._acts[:] = [act]
        return self

    async def probe(self, ctx: Context) -> CheckResult:
        return await self._acts[0](ctx) if self._acts else passed("fine")


def unix(text: str) -> float:
    """Seconds at a time of UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def sample(name: str = "db", **settings: Any) -> Sample:
    return Sample.model_validate({"name": name, **settings})


def result(status: Status | str, started: float = NOW, **more: Any) -> CheckResult:
    status = Status(status)
    error = None if status is Status.PASS else "refused"
    more = {"name": "db", "message": f"it says {status.value}", "error_type": error, "duration": 0.25, **more}
    return CheckResult(status, started=started, **more)


def measured(value: float) -> CheckResult:
    return passed("read", Measurement("utilization", value, "1"))
