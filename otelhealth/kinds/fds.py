"""File descriptors: how many of the kernel's are allocated, and how many of its own this process has open."""

from __future__ import annotations

import os
from typing import ClassVar, Literal

import psutil

from otelhealth.checks.base import Context, Quantity, passed
from otelhealth.checks.cgroup import read
from otelhealth.checks.host import HostCheck, host_quantity
from otelhealth.model import CheckResult, Measurement

try:
    import resource
except ImportError:  # Windows counts handles and sets no limit
    resource = None  # type: ignore[assignment]  # the module is missing


class FdsCheck(HostCheck):
    """Too many open files end a service long before its memory does."""

    summary: ClassVar[str] = "open files of the kernel against its maximum, and of this process against its limit"
    default_levels: ClassVar = {
        "utilization": {"warn": "> 80%", "fail": "> 95%"},
        "own.utilization": {"warn": "> 80%", "fail": "> 95%"},
    }
    quantities: ClassVar[tuple[Quantity, ...]] = (
        host_quantity(
            "utilization",
            "1",
            "gauge",
            "Share of the kernel's maximum of open files that is allocated.",
            "otelhealth.fds.utilization",
        ),
        host_quantity(
            "allocated", "{file}", "updowncounter", "Open files of the whole machine.", "otelhealth.fds.allocated"
        ),
        Quantity(
            "own",
            "{file_descriptor}",
            "updowncounter",
            "Open file descriptors of this process.",
            "process.unix.file_descriptor.count",
        ),
        Quantity(
            "own.utilization",
            "1",
            "gauge",
            "Share of this process's limit of open files (RLIMIT_NOFILE, soft) in use.",
            "otelhealth.fds.own.utilization",
        ),
    )

    kind: Literal["fds"] = "fds"

    async def probe(self, ctx: Context) -> CheckResult:
        measurements, sentences = [], []
        if text := read(f"{self.host(ctx).proc}/sys/fs/file-nr"):
            allocated, _, most = (int(field) for field in text.split())
            measurements = [
                Measurement("utilization", allocated / most, "1"),
                Measurement("allocated", allocated, "{file}"),
            ]
            sentences.append(f"{allocated} files open on the machine ({allocated / most:.0%} of its maximum)")
        own = _own()
        measurements.append(Measurement("own", own, "{file_descriptor}"))
        sentences.append(f"{own} by this process")
        if limit := _limit():
            measurements.append(Measurement("own.utilization", own / limit, "1"))
            sentences[-1] += f" ({own / limit:.0%} of its {limit})"
        return passed(", ".join(sentences), *measurements)


def _own() -> int:
    """Since Linux 6.2 the size of the directory is their number; before, they are counted one by one."""
    try:
        return os.stat("/proc/self/fd").st_size or len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH116, PTH208 - three times as fast
    except FileNotFoundError:
        return psutil.Process().num_fds() if os.name == "posix" else 0


def _limit() -> int | None:
    if resource is None:
        return None
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return None if soft == resource.RLIM_INFINITY else soft
