"""The hourly roll-ups: runs are counted in memory and added to the file now and then."""

from __future__ import annotations

import sqlite3
from itertools import islice

from otelhealth.clock import Clock
from otelhealth.model import CheckResult
from otelhealth.store.rows import CODES

ROLL_UP = 300.0  # s between writes
_ADD = """
INSERT INTO hours VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET passed = passed + excluded.passed,
    warned = warned + excluded.warned, failed = failed + excluded.failed, unknown = unknown + excluded.unknown,
    seconds = seconds + excluded.seconds
"""


class Hours:
    """Hours are kept for `age` seconds."""

    def __init__(self, age: float, clock: Clock) -> None:
        self._age = age
        self._clock = clock
        self._counted: dict[tuple[int, int], list[float]] = {}  # (check, hour) -> pass, warn, fail, unknown, seconds
        self._written = clock.monotonic()

    @property
    def due(self) -> bool:
        return self._clock.monotonic() - self._written >= ROLL_UP

    def count(self, check: int, run: CheckResult) -> None:
        hour = self._counted.setdefault((check, int(run.started // 3600)), [0, 0, 0, 0, 0.0])
        hour[CODES[run.status]] += 1
        hour[4] += run.duration

    def write(self, connection: sqlite3.Connection) -> None:
        """Add what was counted since the last time, 100 hours at a time so that nothing else waits long."""
        self._written = self._clock.monotonic()
        while self._counted:
            some = list(islice(self._counted.items(), 100))
            with connection as into:
                into.executemany(_ADD, [(*key, *numbers) for key, numbers in some])
            for key, _ in some:
                del self._counted[key]
        with connection as into:
            into.execute("DELETE FROM hours WHERE hour < ?", ((self._clock.time() - self._age) // 3600,))

    def forget(self) -> None:
        """Begin anew: the checks get other numbers."""
        self._counted.clear()
