"""Time, passed in: wall clock for people and records, monotonic for durations and deadlines."""

from __future__ import annotations

import time as _time
from typing import Protocol


class Clock(Protocol):
    """Where a room reads the time. `now` is read once per decision."""

    def time(self) -> float:
        """Seconds since the Unix epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""
        ...


class SystemClock:
    """The machine's clocks."""

    time = staticmethod(_time.time)
    monotonic = staticmethod(_time.monotonic)


class ManualClock:
    """A clock that stands still until it is moved: for tests and for judging recorded series."""

    def __init__(self, time: float = 1_700_000_000.0) -> None:
        self._time = time
        self._monotonic = 1000.0

    def time(self) -> float:
        return self._time

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass on both clocks."""
        self._time += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Set the wall clock `seconds` forward (or back); the monotonic one does not notice."""
        self._time += seconds


SYSTEM: Clock = SystemClock()
