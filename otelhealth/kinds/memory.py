"""Memory and swap, of the machine or of the container against its limit, and whom the kernel killed for want of it."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from otelhealth.checks.base import Context, Quantity, passed, warned
from otelhealth.checks.host import SCOPE, HostCheck, MemoryReading, host_quantity
from otelhealth.model import CheckResult, Measurement
from otelhealth.units import size_text

_STATE = "system.memory.state"
_PAGING = "system.paging.state"


class MemoryCheck(HostCheck):
    """In use is what cannot be had back: of a host total - available, of a container current - inactive file cache."""

    summary: ClassVar[str] = "memory and swap in use, pressure, OOM kills; of a container: against its limit"
    default_levels: ClassVar = {"utilization": {"warn": "> 90%", "fail": "> 98%"}}
    quantities: ClassVar[tuple[Quantity, ...]] = (
        host_quantity(
            "utilization",
            "1",
            "gauge",
            "Share of the memory in use; of a limited container: of its limit.",
            "system.memory.utilization",
        ),
        host_quantity(
            "usage",
            "By",
            "updowncounter",
            "Memory by state: used, cached (given back on demand) and free make up the limit.",
            "system.memory.usage",
            (_STATE,),
        ),
        host_quantity(
            "limit", "By", "updowncounter", "Memory there is; of a limited container: its limit.", "system.memory.limit"
        ),
        host_quantity(
            "swap.usage", "By", "updowncounter", "Swap by state, used and free.", "system.paging.usage", (_PAGING,)
        ),
        host_quantity(
            "swap.utilization",
            "1",
            "gauge",
            "Share of the swap in use; none where there is no swap.",
            "system.paging.utilization",
        ),
        host_quantity(
            "pressure",
            "1",
            "gauge",
            "Share of the last 10 s in which some task waited for memory.",
            "otelhealth.memory.pressure",
        ),
        host_quantity(
            "pressure.full",
            "1",
            "gauge",
            "Share of the last 10 s in which all tasks waited for memory.",
            "otelhealth.memory.pressure.full",
        ),
        host_quantity(
            "oom_kills",
            "{kill}",
            "counter",
            "Processes killed by the kernel for want of memory.",
            "otelhealth.memory.oom_kills",
        ),
    )

    kind: Literal["memory"] = "memory"
    scope: Literal["auto", "host"] = Field("auto", description=SCOPE)

    async def probe(self, ctx: Context) -> CheckResult:
        host = self.host(ctx, container=self.scope == "auto")
        reading = host.memory()
        measurements = [
            Measurement("utilization", reading.utilization, "1"),
            Measurement("usage", reading.used, "By", ((_STATE, "used"),)),
            Measurement("usage", reading.cached, "By", ((_STATE, "cached"),)),
            Measurement("usage", reading.free, "By", ((_STATE, "free"),)),
            Measurement("limit", reading.limit, "By"),
            *_swap(reading),
        ]
        if pressure := host.pressure("memory", reading.path):
            measurements.append(Measurement("pressure", pressure.some, "1"))
            if pressure.full is not None:
                measurements.append(Measurement("pressure.full", pressure.full, "1"))
        kills = host.oom_kills() if reading.oom_kills is None else reading.oom_kills
        if kills is not None:
            measurements.append(Measurement("oom_kills", kills, "{kill}"))
        return _result(_sentence(reading), _new_kills(ctx, reading, kills), measurements, reading)


def _sentence(reading: MemoryReading) -> str:
    of = f"the container's {size_text(reading.limit)}" if reading.scope == "container" else size_text(reading.limit)
    swap = f", swap {reading.swap_used / reading.swap_limit:.0%}" if reading.swap_used and reading.swap_limit else ""
    high = reading.high is not None and reading.used > reading.high
    slowed = f", slowed down above {size_text(reading.high or 0)}" if high else ""
    return f"memory {reading.utilization:.0%} used ({size_text(reading.used)} of {of}{swap}{slowed})"


def _swap(reading: MemoryReading) -> list[Measurement]:
    measurements = [Measurement("swap.usage", reading.swap_used, "By", ((_PAGING, "used"),))]
    if reading.swap_limit:
        free = max(0, reading.swap_limit - reading.swap_used)
        measurements.append(Measurement("swap.usage", free, "By", ((_PAGING, "free"),)))
        measurements.append(Measurement("swap.utilization", reading.swap_used / reading.swap_limit, "1"))
    return measurements


def _new_kills(ctx: Context, reading: MemoryReading, kills: int | None) -> int:
    """Since the last run that looked at the same place."""
    before, ctx.memory["kills"] = ctx.memory.get("kills"), (reading.path, kills)
    if before is None or kills is None or before[0] != reading.path or before[1] is None:
        return 0
    return max(0, kills - int(before[1]))


def _result(sentence: str, killed: int, measurements: list[Measurement], reading: MemoryReading) -> CheckResult:
    details = {"scope": reading.scope}
    if not killed:
        return passed(sentence, *measurements, details=details)
    processes = "a process" if killed == 1 else f"{killed} processes"
    return warned(
        "oom_kill", f"the kernel killed {processes} for want of memory; {sentence}", *measurements, details=details
    )
