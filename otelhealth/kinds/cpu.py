"""CPU: how much of what there is was used since the last run, of the machine or of the container's quota."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal

from pydantic import Field

from otelhealth.checks.base import Context, Quantity, passed
from otelhealth.checks.host import SCOPE, CpuReading, Host, HostCheck, host_quantity
from otelhealth.model import CheckResult, Measurement

_SHORTEST = 0.1  # seconds: the kernel counts host time in ticks of 10 ms


class CpuCheck(HostCheck):
    """Utilization over the interval since the last run; the first run looks for 0.1 s."""

    summary: ClassVar[str] = "CPU in use, by mode; pressure; of a container: its quota and how often it is throttled"
    default_levels: ClassVar = {"utilization": {"warn": "> 90%"}}
    quantities: ClassVar[tuple[Quantity, ...]] = (
        host_quantity(
            "utilization",
            "1",
            "gauge",
            "Share of the CPU time since the last run that was not idle; of a limited container: of its quota.",
            "system.cpu.utilization",
        ),
        host_quantity(
            "time",
            "s",
            "counter",
            "CPU time of all cores by mode; of a limited container: what it used.",
            "system.cpu.time",
            ("cpu.mode",),
        ),
        host_quantity(
            "cores",
            "{cpu}",
            "updowncounter",
            "Logical processors; not told of a limited container, whose quota is in the sentence.",
            "system.cpu.logical.count",
        ),
        host_quantity(
            "pressure",
            "1",
            "gauge",
            "Share of the last 10 s in which some task waited for a CPU.",
            "otelhealth.cpu.pressure",
        ),
        host_quantity(
            "throttled",
            "1",
            "gauge",
            "Share of the quota's periods since the last run in which it held tasks back.",
            "otelhealth.cpu.throttled",
        ),
        host_quantity(
            "throttled.time",
            "s",
            "counter",
            "Time for which the quota held tasks back.",
            "otelhealth.cpu.throttled.time",
        ),
    )

    kind: Literal["cpu"] = "cpu"
    scope: Literal["auto", "host"] = Field("auto", description=SCOPE)

    async def probe(self, ctx: Context) -> CheckResult:
        host = self.host(ctx, container=self.scope == "auto")
        before, reading = await self._interval(ctx, host)
        ctx.memory["reading"] = reading
        share = reading.share_since(before)
        measurements = [
            Measurement("utilization", share, "1"),
            *(Measurement("time", seconds, "s", (("cpu.mode", mode),)) for mode, seconds in reading.modes),
        ]
        if pressure := host.pressure("cpu", reading.path):
            measurements.append(Measurement("pressure", pressure.some, "1"))
        if reading.scope == "host":
            measurements.append(Measurement("cores", reading.cores, "{cpu}"))
            sentence = f"CPU {share:.0%} busy ({reading.cores:g} cores)"
        else:
            held = _throttled(before, reading, measurements)
            sentence = f"CPU {share:.0%} of the container's {reading.cores:g} cores"
            sentence += f", held back by its quota in {held:.0%} of the time slices" if held else ""
        return passed(sentence, *measurements, details={"scope": reading.scope})

    async def _interval(self, ctx: Context, host: Host) -> tuple[CpuReading, CpuReading]:
        """The readings at its two ends: the last run's and one of now, or two a moment apart."""
        reading = host.cpu(ctx.clock.monotonic())
        before = ctx.memory.get("reading")
        if isinstance(before, CpuReading) and reading.comparable(before) and reading.at - before.at >= _SHORTEST:
            return before, reading
        await asyncio.sleep(min(_SHORTEST, ctx.remaining() / 2))
        return reading, host.cpu(ctx.clock.monotonic())


def _throttled(before: CpuReading, reading: CpuReading, measurements: list[Measurement]) -> float:
    """Add what the quota held back since `before`; the share of its periods, 0..1."""
    then, now = before.throttling, reading.throttling
    if then is None or now is None:
        return 0.0
    periods = now.periods - then.periods
    share = (now.throttled - then.throttled) / periods if periods > 0 else 0.0
    measurements += (Measurement("throttled", share, "1"), Measurement("throttled.time", now.seconds, "s"))
    return share
