"""Where runs wait and how many go at once: a fast lane, and a slow one for what does not answer. It starts nothing
itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from otelhealth.engine.schedule import Entry

FAST, SLOW, THREAD = "fast", "slow", "thread"
Start = Callable[[Entry, float], None]


class Limits(NamedTuple):
    """How many runs may go at once. A run that has not answered within `patience` seconds costs no CPU and moves to
    the slow lane's account while that has room, so that waiting for the dead never keeps the living from starting."""

    fast: int = 256
    slow: int = 1024
    tier1_share: float = 0.125  # of each lane, kept for tier 1
    patience: float = 0.25


class Lane:
    """A cap, a share of it kept for tier 1, and the runs waiting in the order they came due; tier 1 goes first."""

    __slots__ = ("cap", "first", "name", "open_to_all", "others", "running", "waiting")

    def __init__(self, name: str, cap: int, tier1_share: float) -> None:
        self.name = name
        self.cap = cap
        self.open_to_all = max(1, cap - round(cap * tier1_share))
        self.running = 0
        self.others = 0  # of `running`, those not of tier 1
        self.first: deque[tuple[Entry, float]] = deque()
        self.waiting: deque[tuple[Entry, float]] = deque()

    def admits(self, tier1: bool) -> bool:
        return self.running < self.cap and (tier1 or self.others < self.open_to_all)

    def enter(self, entry: Entry) -> None:
        self.running += 1
        self.others += not entry.tier1
        entry.lane = self.name

    def leave(self, entry: Entry) -> None:
        self.running -= 1
        self.others -= not entry.tier1
        entry.lane = ""

    def next(self) -> tuple[Entry, float] | None:
        """The run to start now, if one waits and may."""
        for queue, tier1 in ((self.first, True), (self.waiting, False)):
            while queue and queue[0][0].stage != "waiting":
                queue.popleft()  # removed while it waited
            if queue and self.admits(tier1):
                return queue.popleft()
        return None


class Lanes:
    """Starts each submitted run by `start(entry, due)`, at once or when there is room."""

    def __init__(self, start: Start, limits: Limits) -> None:
        self._start = start
        self._patience = limits.patience
        self.fast = Lane(FAST, limits.fast, limits.tier1_share)
        self.slow = Lane(SLOW, limits.slow, limits.tier1_share)
        self._begun: deque[tuple[float, int, Entry]] = deque()  # runs of the fast lane, oldest first

    @property
    def running(self) -> Mapping[str, int]:
        """Runs going, by lane."""
        return {FAST: self.fast.running, SLOW: self.slow.running}

    @property
    def waiting(self) -> int:
        """Runs that are due and wait for room (removed ones may still be counted)."""
        return sum(len(lane.first) + len(lane.waiting) for lane in (self.fast, self.slow))

    def submit(self, entry: Entry, due: float) -> None:
        lane = self.slow if entry.slow else self.fast
        entry.tier1 = entry.check.tier == 1
        entry.stage = "waiting"
        if (entry.tier1 or not lane.waiting) and lane.admits(entry.tier1):
            self._go(lane, entry, due)
        else:
            (lane.first if entry.tier1 else lane.waiting).append((entry, due))

    def release(self, entry: Entry) -> None:
        """The run has ended, or was given up while it waited: the next one may start."""
        entry.stage = ""
        if entry.lane:
            lane = self.fast if entry.lane == FAST else self.slow
            lane.leave(entry)
            self._admit(lane)

    def sweep(self, now: float) -> None:
        """Move runs that have not answered for a while to the slow lane's account."""
        begun = self._begun
        moved = False
        while begun and begun[0][0] + self._patience <= now:
            _, run, entry = begun.popleft()
            if entry.run != run or entry.lane != FAST:
                continue
            if not self.slow.admits(entry.tier1):
                begun.append((now, run, entry))
                continue
            self.fast.leave(entry)
            self.slow.enter(entry)
            moved = True
        if moved:
            self._admit(self.fast)

    def _admit(self, lane: Lane) -> None:
        while (found := lane.next()) is not None:
            self._go(lane, *found)

    def _go(self, lane: Lane, entry: Entry, due: float) -> None:
        lane.enter(entry)
        entry.stage = "running"
        entry.run += 1
        self._start(entry, due)
        if lane is self.fast:
            self._begun.append((entry.begun, entry.run, entry))
