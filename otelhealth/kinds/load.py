"""Load averages: tasks running or waiting, over 1, 5 and 15 minutes, and per core."""

from __future__ import annotations

import os
from typing import ClassVar, Literal

import psutil

from otelhealth.checks.base import Context, Quantity, passed
from otelhealth.checks.cgroup import read
from otelhealth.checks.host import HostCheck, host_quantity
from otelhealth.model import CheckResult, Measurement

_PERIOD = "otelhealth.system.load.period"
_PERIODS = ("1m", "5m", "15m")


class LoadCheck(HostCheck):
    """Of the whole machine, in a container too: the kernel keeps no load average for a container."""

    summary: ClassVar[str] = "load averages of 1, 5 and 15 minutes, whole and per core"
    quantities: ClassVar[tuple[Quantity, ...]] = (
        host_quantity(
            "load",
            "{thread}",
            "gauge",
            "Tasks running or waiting, on average over the period (1m, 5m, 15m).",
            "otelhealth.system.load",
            (_PERIOD,),
        ),
        host_quantity(
            "per_core",
            "{thread}",
            "gauge",
            "The load average divided by the number of cores: above 1 tasks wait.",
            "otelhealth.system.load.per_core",
            (_PERIOD,),
        ),
    )

    kind: Literal["load"] = "load"

    async def probe(self, ctx: Context) -> CheckResult:
        text = read(f"{self.host(ctx).proc}/loadavg")
        loads = [float(field) for field in text.split()[:3]] if text else psutil.getloadavg()
        cores = os.cpu_count() or 1
        figures = [(((_PERIOD, period),), load) for period, load in zip(_PERIODS, loads, strict=True)]
        return passed(
            f"load {' '.join(f'{load:.2f}' for load in loads)} on {cores} cores",
            *(Measurement("load", load, "{thread}", attributes) for attributes, load in figures),
            *(Measurement("per_core", load / cores, "{thread}", attributes) for attributes, load in figures),
        )
