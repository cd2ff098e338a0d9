"""The command that `otelhealth exec` runs: that it runs, and what it uses with all its processes."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal

from pydantic import Field

from otelhealth.checks.base import Check, Context, Interval, Quantity, Threshold, Tier, failed, passed, warned
from otelhealth.model import CheckResult, Child, Measurement, ServiceProcess, Usage
from otelhealth.units import Duration, duration_text, size_text

_MODE = "cpu.mode"


class ChildCheck(Check):
    """Its series leave under the service's own resource (telemetry/child.py), so none of these has a metric."""

    summary: ClassVar[str] = (
        "the command that `otelhealth exec` runs: state, restarts, CPU, memory, threads, open files"
    )
    in_process: ClassVar[bool] = True
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("processes", "{process}", "updowncounter", "The command's process and all below it.", ""),
        Quantity("cpu.time", "s", "counter", "CPU time of all of them, by mode.", "", (_MODE,)),
        Quantity("rss", "By", "updowncounter", "Physical memory in use by them.", ""),
        Quantity("threads", "{thread}", "updowncounter", "Their threads.", ""),
        Quantity("fds", "{file_descriptor}", "updowncounter", "Their open files, where this user may look.", ""),
        Quantity("age", "s", "gauge", "Since the command was started last.", ""),
        Quantity("restarts", "{restart}", "counter", "Times it was started again.", ""),
    )

    kind: Literal["child"] = "child"
    every: Interval = Field(10.0, description="Interval between starts.")
    tier: Tier = Field(1, description="1 is the most important: its failure makes the service critical.")
    groups: tuple[str, ...] = Field(("live", "ready"), description="`live`, `ready`, `startup`, or own groups.")
    threshold: Threshold = Field(
        default_factory=lambda: Threshold(max_consecutive_failures=1), description="When runs make a state."
    )
    settled: Duration = Field(60.0, ge=0, le=86400, description="For so long after a restart it warns.")

    async def probe(self, ctx: Context) -> CheckResult:
        child = ctx.surroundings.child
        if child is None:
            raise LookupError("there is no command: a check of kind child works under `otelhealth exec`")
        if child.process.state == "starting":
            return warned("starting", "is about to start")
        usage = await ctx.in_thread(child.usage)
        process = child.process if usage else await _last_word(child)
        restarts = Measurement("restarts", process.restarts, "{restart}")
        if process.state == "stopping":
            measured = (restarts, *_measurements(usage)) if usage else (restarts,)
            return warned("stopping", f"{process.command} was asked to end", *measured)
        if usage is None or process.pid is None:
            return _not_running(process, restarts)
        age = max(0.0, ctx.clock.time() - process.started)
        measured = (restarts, Measurement("age", age, "s"), *_measurements(usage))
        said = f"{process.command} runs for {duration_text(age)}{_processes(usage)}, {size_text(usage.rss)}"
        if process.restarts and age < self.settled:
            return warned("restarted", f"{said}; it ended with {process.exit_code} before", *measured)
        return passed(said, *measured)


async def _last_word(child: Child) -> ServiceProcess:
    """What the supervisor says of a command that is gone: it is gone a moment before it says how it ended."""
    for _ in range(100):
        if child.process.pid is None:
            break
        await asyncio.sleep(0.01)
    return child.process


def _not_running(process: ServiceProcess, restarts: Measurement) -> CheckResult:
    if process.exit_code is None:  # it ended, and how is not told yet
        return failed("exited", f"{process.command} does not run", restarts)
    again = ", and starts again soon" if process.state == "restarting" else ""
    how = f"{process.command} has ended with {process.exit_code}{again}"
    details = {"exit_code": process.exit_code}
    if process.exit_code == 0 and not again:  # as a job does
        return warned("exited", how, restarts, details=details)
    return failed("restarting" if again else "exited", how, restarts, details=details)


def _processes(usage: Usage) -> str:
    return f" in {usage.processes} processes" if usage.processes > 1 else ""


def _measurements(usage: Usage) -> list[Measurement]:
    found = [
        Measurement("processes", usage.processes, "{process}"),
        Measurement("cpu.time", usage.user, "s", ((_MODE, "user"),)),
        Measurement("cpu.time", usage.system, "s", ((_MODE, "system"),)),
        Measurement("rss", usage.rss, "By"),
        Measurement("threads", usage.threads, "{thread}"),
    ]
    if usage.fds is not None:
        found.append(Measurement("fds", usage.fds, "{file_descriptor}"))
    return found
