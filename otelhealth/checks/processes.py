"""Processes as the kernel shows them: one at one moment, and a whole tree over time."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import psutil

from otelhealth.model import ServiceProcess, Usage


class Seen(NamedTuple):
    """One process at one moment; `fds` is None where this user may not look."""

    process: psutil.Process  # equal to another of its pid and start in ticks: a pid alone is given away again
    created: float  # Unix seconds
    user: float
    system: float
    rss: int
    threads: int
    fds: int | None
    collected: tuple[float, float] = (0.0, 0.0)  # user and system seconds of its children that have ended


def look_at(pid: int) -> Seen | None:
    """None for one that does not run: gone, or dead and not yet collected by its parent."""
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
                return None
            times, memory, threads = process.cpu_times(), process.memory_info(), process.num_threads()
            created = process.create_time()
        ended = getattr(times, "children_user", 0.0), getattr(times, "children_system", 0.0)
        return Seen(process, created, times.user, times.system, memory.rss, threads, _fds(process), ended)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return None


def tree(root: int) -> dict[int, int]:
    """The process `root` and all below it, each with its parent. On Linux the cost grows with the tree alone."""
    found, open_ones = {root: 0}, [root]
    while open_ones:
        parent = open_ones.pop()
        for child in _children(parent):
            if child not in found:
                found[child] = parent
                open_ones.append(child)
    return found


def _children(pid: int) -> list[int]:
    tasks = Path("/proc", str(pid), "task")
    try:
        return [int(word) for task in tasks.iterdir() for word in (task / "children").read_text().split()]
    except OSError:  # it has just ended, or this kernel does not list children
        return _children_by_search(pid) if not tasks.exists() or not (tasks / str(pid) / "children").exists() else []


def _children_by_search(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children()]
    except psutil.Error:
        return []


def _fds(process: psutil.Process) -> int | None:
    try:
        return process.num_fds()
    except (psutil.AccessDenied, AttributeError):  # Windows has handles instead
        return None


class TreeMeter:
    """What a tree of processes uses; CPU time counts on over processes that end, and over restarts of its root."""

    def __init__(self) -> None:
        self._carried = [0.0, 0.0]  # of processes that no other of the tree has collected
        self._told = [0.0, 0.0]
        self._before: Mapping[psutil.Process, tuple[Seen, int]] = {}

    def read(self, root: int | None) -> Usage | None:
        """Of the tree below and with `root`; None where it does not run."""
        parents = tree(root) if root is not None else {}
        seen = {found.process: (found, parent) for pid, parent in parents.items() if (found := look_at(pid))}
        self._carry(seen)
        if not seen:
            return None
        each = [found for found, _ in seen.values()]
        fds = [found.fds for found in each if found.fds is not None]
        return Usage(
            len(each),
            *self._cpu(each),
            sum(found.rss for found in each),
            sum(found.threads for found in each),
            sum(fds) if fds else None,
            time.monotonic(),
        )

    def _carry(self, seen: Mapping[psutil.Process, tuple[Seen, int]]) -> None:
        """What the kernel added to a parent in the tree is counted there; the rest is kept here."""
        living = {process.pid for process in seen}
        for process, (found, parent) in self._before.items():
            if process not in seen and parent not in living:
                self._carried[0] += found.user + found.collected[0]
                self._carried[1] += found.system + found.collected[1]
        self._before = seen

    def _cpu(self, each: list[Seen]) -> tuple[float, float]:
        """User and system seconds; they never fall, also while a dead process waits to be collected."""
        now = (
            sum(found.user + found.collected[0] for found in each) + self._carried[0],
            sum(found.system + found.collected[1] for found in each) + self._carried[1],
        )
        self._told = [max(before, after) for before, after in zip(self._told, now, strict=True)]
        return self._told[0], self._told[1]


class WatchedChild:
    """A service below `otelhealth exec` (`model.Child`): what its supervisor told last, what the kernel shows now."""

    def __init__(self, process: ServiceProcess | None = None) -> None:
        self.process = process or ServiceProcess()
        self.latest: Usage | None = None
        self._meter = TreeMeter()
        self._lock = threading.Lock()

    def usage(self) -> Usage | None:
        with self._lock:
            self.latest = self._meter.read(self.process.pid)
            return self.latest
