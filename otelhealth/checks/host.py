"""What the machine, or the limited container, is doing: the readings that kinds and the agent's own sampler share.

Each call reads a fixed number of small kernel files, whatever the number of sockets and processes. Where there is
no `/proc` (macOS), psutil answers and what it does not know is left out.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Self

from pydantic import Field

from otelhealth.checks.base import Category, Check, Context, Quantity
from otelhealth.checks.cgroup import Cgroup, CgroupMemory, Pressure, Resource, Throttling, number_after, read
from otelhealth.checks.mounts import Usage, mount_table, usages
from otelhealth.clock import SYSTEM, Clock
from otelhealth.errors import OtelHealthError
from otelhealth.model import Instrument
from otelhealth.units import LocalPath

Scope = Literal["container", "host"]
_TICKS = 100.0  # USER_HZ, which is 100 on every architecture that Linux still runs on but alpha
_MODES = ("user", "nice", "system", "idle", "iowait", "interrupt", "softirq", "steal")
_IDLE = ("idle", "iowait")
MEBIBYTE = 1 << 20
SCOPE = "`auto`: against a container's limits where it has any; `host`: always the whole machine."


class CpuReading(NamedTuple):
    """Seconds so far, by mode, of all cores (of a limited container: of its own tasks, which have no idle time)."""

    at: float  # monotonic seconds
    cores: float  # that may be used
    modes: tuple[tuple[str, float], ...]
    scope: Scope
    throttling: Throttling | None = None
    path: str = ""  # of the limiting cgroup

    @property
    def busy(self) -> float:
        return sum(seconds for mode, seconds in self.modes if mode not in _IDLE)

    def share_since(self, earlier: Self) -> float:
        """The share 0..1 of what might have been used since `earlier` that was; 0 where no time has passed."""
        if self.scope == "container":
            possible = (self.at - earlier.at) * self.cores
        else:
            possible = sum(seconds for _, seconds in self.modes) - sum(seconds for _, seconds in earlier.modes)
        # A quota may be overdrawn by a burst, and per-core idle counters may step back a tick.
        return min(1.0, max(0.0, (self.busy - earlier.busy) / possible)) if possible > 0 else 0.0

    def comparable(self, earlier: Self | None) -> bool:
        return earlier is not None and (earlier.scope, earlier.path) == (self.scope, self.path)


class MemoryReading(NamedTuple):
    """Bytes; `used` + `cached` + `free` = `limit`, and `cached` is what the kernel gives back without swapping."""

    limit: int
    used: int
    cached: int
    free: int
    scope: Scope
    swap_used: int = 0
    swap_limit: int = 0
    high: int | None = None  # a container's soft limit, above which it is slowed down
    oom_kills: int | None = None  # so far
    path: str = ""  # of the limiting cgroup

    @property
    def utilization(self) -> float:
        return self.used / self.limit if self.limit else 0.0


class Host:
    """The kernel's files below `root`: `/`, or where a container sees its host's."""

    def __init__(self, root: Path = Path("/"), *, container: bool = True) -> None:
        self.root = root
        self.container = container
        self.proc = str(root / "proc")
        self.cgroup = Cgroup.find(root) if container else None
        own_net = f"{self.proc}/1/net"  # `/proc/net` is that of the reader, even where it is the host's /proc
        self.net = own_net if root != Path("/") and Path(own_net).is_dir() else f"{self.proc}/net"

    def cpu(self, now: float) -> CpuReading:
        """At `now` (monotonic seconds)."""
        text = read(f"{self.proc}/stat")
        if text is None:
            return _portable_cpu(now)
        cores = text.count("\ncpu")
        limit = self.cgroup.cpu() if self.cgroup else None
        if limit is not None and limit.cores < cores:
            modes = (("user", limit.user), ("system", limit.system))
            return CpuReading(now, limit.cores, modes, "container", limit.throttling, limit.path)
        ticks = [int(field) / _TICKS for field in text[: text.index("\n")].split()[1:9]]
        seconds = dict(zip(_MODES, ticks, strict=False))
        seconds["interrupt"] += seconds.pop("softirq")
        return CpuReading(now, cores, tuple(seconds.items()), "host")

    def memory(self) -> MemoryReading:
        text = read(f"{self.proc}/meminfo")
        if text is None:
            return _portable_memory()
        total = _kib(text, "MemTotal:")
        limit = self.cgroup.memory() if self.cgroup else None
        if limit is not None and limit.limit < total:
            return _container_memory(limit)
        free, available = _kib(text, "MemFree:"), _kib(text, "MemAvailable:")
        free = min(free, available)  # the kernel keeps some free pages for itself
        swap = _kib(text, "SwapTotal:")
        return MemoryReading(
            total, total - available, available - free, free, "host", swap - _kib(text, "SwapFree:"), swap
        )

    def pressure(self, resource: Resource, cgroup: str = "") -> Pressure | None:
        """Of the cgroup at that path, else of the machine; None where the kernel keeps none."""
        if cgroup:
            return Cgroup.pressure(cgroup, resource)
        return Pressure.parse(read(f"{self.proc}/pressure/{resource}"))

    def established(self) -> int | None:
        """TCP connections of this network namespace, IPv4 and IPv6; None where only a walk over all would tell."""
        lines = [line for line in (read(f"{self.net}/snmp") or "").splitlines() if line.startswith("Tcp:")]
        if len(lines) != 2:
            return None
        names, values = lines[0].split(), lines[1].split()
        return int(values[names.index("CurrEstab")])

    def oom_kills(self) -> int | None:
        """Of the whole machine since it started; None where the kernel does not count them (before Linux 4.13)."""
        return number_after(read(f"{self.proc}/vmstat"), "oom_kill ")

    def disks(self) -> list[Usage]:
        """Of the local disks. May block: call it in a thread."""
        return usages(mount_table(self.root).local, self.root)


def host_quantity(  # noqa: PLR0913, PLR0917 - those of a Quantity
    name: str, unit: str, instrument: Instrument, description: str, metric: str, attributes: tuple[str, ...] = ()
) -> Quantity:
    """A figure of the host: one series, whichever check reads it."""
    return Quantity(name, unit, instrument, description, metric, attributes, per_check=False)


class HostCheck(Check):
    """The base of the kinds that ask this host's kernel alone."""

    in_process: ClassVar[bool] = True

    category: Category = Field("system", description="What it speaks of.")
    root: LocalPath = Field(
        "/", description="Where the host's file system is seen: `/host` in a container that mounts it there."
    )

    def host(self, ctx: Context, *, container: bool = False) -> Host:
        """The one this check keeps; with `container`, limits of this process's cgroup count.

        Raises OtelHealthError where another `root` shows none: this process's own figures would pass for the host's.
        """
        host = ctx.memory.get("host")
        if not isinstance(host, Host) or (str(host.root), host.container) != (self.root, container):
            if self.root != "/" and _is_empty(f"{self.root}/proc"):
                raise OtelHealthError(
                    f"no host is seen below {self.root}, which has no proc",
                    "mount the host's `/` there, or correct `root`",
                )
            host = ctx.memory["host"] = Host(Path(self.root), container=container)
        return host


class HostSample(NamedTuple):
    """The host's half of `records.Performance`, under its names. Percentages are 0..100."""

    cpu_usage_percent: float = 0.0
    memory_usage_mb: int = 0
    memory_usage_percent: float = 0.0
    disk_usage_percent: float = 0.0
    disk_mount: str = ""
    network_connections: int = 0
    scope: Scope = "host"


class HostSampler:
    """What the agent asks every 10 s: `read_disks` in a thread, then `sample`, which never blocks."""

    def __init__(self, root: Path = Path("/"), clock: Clock = SYSTEM) -> None:
        self._clock = clock
        self._host = Host(root)
        self._cpu = self._host.cpu(clock.monotonic())
        self._fullest: Usage | None = None

    def read_disks(self) -> None:
        """Find the fullest disk, which the next samples name. May block: call it in a thread."""
        self._fullest = max(self._host.disks(), key=lambda disk: disk.utilization, default=None)

    def sample(self) -> HostSample:
        """CPU is the share since the sample before (since the start, for the first)."""
        before, self._cpu = self._cpu, self._host.cpu(self._clock.monotonic())
        memory, fullest = self._host.memory(), self._fullest
        return HostSample(
            cpu_usage_percent=100 * self._cpu.share_since(before) if self._cpu.comparable(before) else 0.0,
            memory_usage_mb=memory.used // MEBIBYTE,
            memory_usage_percent=100 * memory.utilization,
            disk_usage_percent=100 * fullest.utilization if fullest else 0.0,
            disk_mount=fullest.mount.point if fullest else "",
            network_connections=self._host.established() or 0,
            scope="container" if "container" in (self._cpu.scope, memory.scope) else "host",
        )


def _is_empty(folder: str) -> bool:
    with suppress(OSError), os.scandir(folder) as entries:
        return next(entries, None) is None
    return True


def _kib(text: str, name: str) -> int:
    """Bytes of one line of `meminfo`; 0 where the kernel has no such line."""
    return (number_after(text, name) or 0) * 1024


def _container_memory(limit: CgroupMemory) -> MemoryReading:
    return MemoryReading(
        limit.limit,
        limit.used,
        limit.inactive_file,
        max(0, limit.limit - limit.used - limit.inactive_file),
        "container",
        limit.swap_used or 0,
        limit.swap_limit or 0,
        limit.high,
        limit.oom_kills,
        limit.path,
    )


def _portable_cpu(now: float) -> CpuReading:
    import psutil  # noqa: PLC0415 - 4 ms, and only where there is no /proc

    times = psutil.cpu_times()._asdict()
    modes = tuple((mode, times[mode]) for mode in _MODES if mode in times)
    return CpuReading(now, psutil.cpu_count() or 1, modes, "host")


def _portable_memory() -> MemoryReading:
    import psutil  # noqa: PLC0415 - as above

    memory, swap = psutil.virtual_memory(), psutil.swap_memory()
    free = min(memory.free, memory.available)
    used, cached = memory.total - memory.available, memory.available - free
    return MemoryReading(memory.total, used, cached, free, "host", swap.used, swap.total)
