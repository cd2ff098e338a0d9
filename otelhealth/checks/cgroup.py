"""The cgroup v2 this process lives in: what it may use, has used, and waited for. Reads files, judges nothing.

Version 1 hierarchies hold no figures for us: there, as where nothing is limited, the answers are None.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, Self, TypeVar

N = TypeVar("N", int, float)
Resource = Literal["cpu", "memory", "io"]


def read(path: str) -> str | None:
    """The text of a kernel file; None where there is none or the kernel refuses it (as it does for a disabled PSI)."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        parts = []
        while part := os.read(handle, 65536):  # a seq_file may give its text page by page
            parts.append(part)
    except OSError:
        return None
    finally:
        os.close(handle)
    return b"".join(parts).decode(errors="replace")


def keyed(text: str | None) -> dict[str, int]:
    """`name value` lines, as `cpu.stat` and `memory.events` have them."""
    pairs = (line.split() for line in (text or "").splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


class Pressure(NamedTuple):
    """Shares 0..1 of the last 10 s in which some (or all) tasks waited for a resource."""

    some: float
    full: float | None

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """From `/proc/pressure/*` or a cgroup's `*.pressure`; None where the kernel keeps none."""
        shares: dict[str, float] = {}
        for line in (text or "").splitlines():
            kind, _, rest = line.partition(" avg10=")
            if rest:
                shares[kind] = float(rest.split(" ", 1)[0]) / 100
        return cls(shares["some"], shares.get("full")) if "some" in shares else None


class Throttling(NamedTuple):
    """How often a quota held its tasks back, so far: in `throttled` of `periods`, for `seconds` over all its tasks."""

    seconds: float
    periods: int
    throttled: int


class CgroupCpu(NamedTuple):
    """CPU of the tightest quota: `cores` allowed, seconds used so far in user and system mode."""

    path: str
    cores: float
    user: float
    system: float
    throttling: Throttling


class CgroupMemory(NamedTuple):
    """Memory of the tightest limit, in bytes. `used` leaves out `inactive_file`, the cache that is given back first."""

    path: str
    limit: int
    used: int
    inactive_file: int
    high: int | None
    swap_used: int | None
    swap_limit: int | None
    oom_kills: int


class Cgroup(NamedTuple):
    """The directories of this process's cgroup and of its ancestors, the nearest first."""

    levels: tuple[str, ...]

    @classmethod
    def find(cls, root: Path = Path("/")) -> Self | None:
        """From `/proc/self/cgroup` and the cgroup2 mount, both seen below `root`; None without cgroup v2."""
        own = _own_path(read(str(root / "proc/self/cgroup")))
        mount = _mount(read(str(root / "proc/self/mountinfo")))
        if own is None or mount is None:
            return None
        top, inside = mount
        base = root / inside.lstrip("/")
        # Without a cgroup namespace of its own a container may see a path that lies outside what is mounted.
        below = own.removeprefix(top.rstrip("/")) if own.startswith(top) else ""
        place = base / below.strip("/")
        if ".." in place.parts or not place.is_dir():
            place = base
        return cls(tuple(str(level) for level in (place, *place.parents) if level.is_relative_to(base)))

    def cpu(self) -> CgroupCpu | None:
        """Of the level with the smallest quota: what its other members use counts against it too."""
        tightest = _tightest(self._quotas())
        if tightest is None:
            return None
        cores, path = tightest
        stat = keyed(read(f"{path}/cpu.stat"))
        user, system, held = (stat.get(f"{name}_usec", 0) / 1e6 for name in ("user", "system", "throttled"))
        throttling = Throttling(held, stat.get("nr_periods", 0), stat.get("nr_throttled", 0))
        return CgroupCpu(path, cores, user, system, throttling)

    def memory(self) -> CgroupMemory | None:
        """Of the level with the smallest limit: what its other members use counts against it too."""
        tightest = _tightest(self._limits("memory.max"))
        if tightest is None:
            return None
        limit, path = tightest
        current = _number(f"{path}/memory.current") or 0
        inactive = number_after(read(f"{path}/memory.stat"), "inactive_file ") or 0
        return CgroupMemory(
            path,
            limit,
            max(0, current - inactive),
            inactive,
            _number(f"{path}/memory.high"),
            _number(f"{path}/memory.swap.current"),
            _number(f"{path}/memory.swap.max"),
            number_after(read(f"{path}/memory.events"), "oom_kill ") or 0,
        )

    @staticmethod
    def pressure(path: str, resource: Resource) -> Pressure | None:
        """Of the level `path`."""
        return Pressure.parse(read(f"{path}/{resource}.pressure"))

    def _limits(self, name: str) -> Iterator[tuple[int, str]]:
        for level in self.levels:
            if (limit := _number(f"{level}/{name}")) is not None:
                yield limit, level

    def _quotas(self) -> Iterator[tuple[float, str]]:
        for level in self.levels:
            quota, _, period = (read(f"{level}/cpu.max") or "").partition(" ")
            if quota.isdigit() and period.strip().isdigit():
                yield int(quota) / int(period), level


def _tightest(limits: Iterator[tuple[N, str]]) -> tuple[N, str] | None:
    """The smallest; of equal ones the nearest."""
    return min(limits, key=lambda limit: limit[0], default=None)


def _number(path: str) -> int | None:
    """None for `max` and for a file that is not there."""
    text = (read(path) or "").strip()
    return int(text) if text.isdigit() else None


def number_after(text: str | None, name: str) -> int | None:
    """The value of one line; cheaper than all of a `memory.stat`. None without such a line."""
    start = f"\n{text}".find(f"\n{name}") if text else -1
    return int((text or "")[start + len(name) :].split(None, 1)[0]) if start >= 0 else None


def _own_path(text: str | None) -> str | None:
    for line in (text or "").splitlines():
        if line.startswith("0::"):
            return line[3:]
    return None


def _mount(text: str | None) -> tuple[str, str] | None:
    """Root within the hierarchy, and mount point, of the first cgroup2 mount in a `mountinfo`."""
    for line in (text or "").splitlines():
        fields, _, rest = line.partition(" - ")
        if rest.startswith("cgroup2 "):
            parts = fields.split()
            return parts[3], parts[4]
    return None
