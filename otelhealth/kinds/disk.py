"""Disks: space, inodes and whether they can still be written, per mount; on request what they transfer."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from otelhealth.checks.base import Context, Quantity, failed, passed
from otelhealth.checks.cgroup import read
from otelhealth.checks.host import Host, HostCheck, host_quantity
from otelhealth.checks.mounts import Mount, MountTable, Usage, mount_table, usage, usages
from otelhealth.errors import ProbeError
from otelhealth.model import CheckResult, Measurement
from otelhealth.units import size_text

_POINT = "system.filesystem.mountpoint"
_STATE = "system.filesystem.state"
_DEVICE = "system.device"
_DIRECTION = "disk.io.direction"
_SECTOR = 512  # bytes, the unit of /proc/diskstats on every disk
_MOST = 50  # mounts reported, the fullest first


class DiskCheck(HostCheck):
    """Mounts that may hang are looked at in a thread: a stalled server holds this check, and nothing else."""

    summary: ClassVar[str] = "space, inodes and writability of every local disk; pressure; on request its transfers"
    default_levels: ClassVar = {
        "utilization": {"warn": "> 85%", "fail": "> 95%"},
        "inodes.utilization": {"warn": "> 85%", "fail": "> 95%"},
    }
    quantities: ClassVar[tuple[Quantity, ...]] = (
        host_quantity(
            "utilization",
            "1",
            "gauge",
            "Share of the space in use, as `df` shows it.",
            "system.filesystem.utilization",
            (_POINT,),
        ),
        host_quantity(
            "usage",
            "By",
            "updowncounter",
            "Space by state: used, free, and reserved for root.",
            "system.filesystem.usage",
            (_POINT, _STATE),
        ),
        host_quantity("limit", "By", "updowncounter", "Size of the file system.", "system.filesystem.limit", (_POINT,)),
        host_quantity(
            "inodes.utilization",
            "1",
            "gauge",
            "Share of the inodes in use; none where a file system does not count them.",
            "otelhealth.disk.inodes.utilization",
            (_POINT,),
        ),
        host_quantity(
            "pressure",
            "1",
            "gauge",
            "Share of the last 10 s in which some task waited for a disk.",
            "otelhealth.disk.pressure",
        ),
        host_quantity(
            "io",
            "By",
            "counter",
            "Bytes read from and written to the disk (with `io: true`).",
            "system.disk.io",
            (_DEVICE, _DIRECTION),
        ),
        host_quantity(
            "operations",
            "{operation}",
            "counter",
            "Reads and writes of the disk (with `io: true`).",
            "system.disk.operations",
            (_DEVICE, _DIRECTION),
        ),
    )

    kind: Literal["disk"] = "disk"
    mounts: tuple[str, ...] = Field(
        (),
        description="Only these mount points, network ones too, each of which must be mounted. Default: local disks.",
    )
    exclude: tuple[str, ...] = Field((), description="Mount points to leave out; `*` matches any characters.")
    io: bool = Field(False, description="Report what each disk reads and writes.")

    async def probe(self, ctx: Context) -> CheckResult:
        host = self.host(ctx)
        seen = await self._usages(ctx, host)
        seen.sort(key=lambda usage: usage.utilization, reverse=True)
        measurements = [measurement for usage in seen[:_MOST] for measurement in _of(usage)]
        if pressure := host.pressure("io"):
            measurements.append(Measurement("pressure", pressure.some, "1"))
        if self.io:
            measurements += _transfers(host, {usage.mount.number for usage in seen[:_MOST]})
        details = {
            usage.mount.point: {"device": usage.mount.device, "type": usage.mount.type} for usage in seen[:_MOST]
        }
        if frozen := _frozen(ctx, [usage.mount for usage in seen]):
            sentence = f"{', '.join(frozen)} became read-only; see the kernel's log (dmesg) for I/O errors"
            return failed("read_only", sentence, *measurements, details=details)
        return passed(_sentence(seen), *measurements, details=details)

    async def _usages(self, ctx: Context, host: Host) -> list[Usage]:
        table = mount_table(host.root)
        chosen = self._chosen(table)
        ask = _each if self.mounts else usages
        if table.may_block(chosen):
            return await ctx.in_thread(lambda: ask(chosen, host.root))
        return ask(chosen, host.root)  # a local file system answers from memory; a thread costs six times as much

    def _chosen(self, table: MountTable) -> list[Mount]:
        found: Iterable[Mount] = table.local
        if self.mounts:
            if missing := [point for point in self.mounts if point not in table.by_point]:
                raise ProbeError("not_mounted", f"nothing is mounted on {', '.join(missing)}")
            found = [table.by_point[point] for point in self.mounts]
        return [mount for mount in found if not any(fnmatchcase(mount.point, pattern) for pattern in self.exclude)]


def _each(mounts: Iterable[Mount], root: Path) -> list[Usage]:
    """Of mounts that were asked for by name: one that does not answer is not left out."""
    found = []
    for mount in mounts:
        try:
            found.append(usage(mount, root))
        except OSError as error:
            raise ProbeError("mount_unusable", f"{mount.point} cannot be asked: {error.strerror}") from error
    return found


def _of(usage: Usage) -> Iterable[Measurement]:
    point = (_POINT, usage.mount.point)
    reserved = max(0, usage.total - usage.used - usage.free)
    yield Measurement("utilization", usage.utilization, "1", (point,))
    for state, size in (("used", usage.used), ("free", usage.free), ("reserved", reserved)):
        yield Measurement("usage", size, "By", (point, (_STATE, state)))
    yield Measurement("limit", usage.total, "By", (point,))
    if (inodes := usage.inodes_utilization) is not None:
        yield Measurement("inodes.utilization", inodes, "1", (point,))


def _frozen(ctx: Context, mounts: list[Mount]) -> list[str]:
    """Those that became read-only under us, or that the kernel made so; one mounted read-only is as it should be."""
    writable: set[str] = ctx.memory.setdefault("writable", set())
    writable.update(mount.point for mount in mounts if not mount.read_only)
    return [mount.point for mount in mounts if mount.forced_read_only or (mount.read_only and mount.point in writable)]


def _sentence(seen: list[Usage]) -> str:
    if not seen:
        return "no local disk is mounted"
    fullest = seen[0]
    more = f", the fullest of {len(seen)}" if len(seen) > 1 else ""
    return f"{fullest.mount.point} is {fullest.utilization:.0%} full ({size_text(fullest.free)} free{more})"


def _transfers(host: Host, numbers: set[str]) -> Iterable[Measurement]:
    for line in (read(str(Path(host.proc, "diskstats"))) or "").splitlines():
        fields = line.split()
        if len(fields) < 10 or f"{fields[0]}:{fields[1]}" not in numbers:
            continue
        for direction, operations, sectors in (("read", fields[3], fields[5]), ("write", fields[7], fields[9])):
            attributes = ((_DEVICE, fields[2]), (_DIRECTION, direction))
            yield Measurement("io", int(sectors) * _SECTOR, "By", attributes)
            yield Measurement("operations", int(operations), "{operation}", attributes)
