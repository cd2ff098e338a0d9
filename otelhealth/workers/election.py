"""Which worker runs the checks: the one that has a lock, which the kernel takes from it when it dies."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from otelhealth.clock import Clock
from otelhealth.lock import Lock

BEAT = 1.0  # s between signs of life


class Election:
    """Held beside the store. The leader's sign of life is the time of its lock's file."""

    def __init__(self, store: Path, clock: Clock) -> None:
        file = store.with_name(f"{store.stem}-leader")
        self._lock = Lock(file)
        self._sign = file.with_name(f"{file.name}.lock")
        self._clock = clock
        self._seen = 0  # the sign, and since when it is the same (monotonic seconds)
        self._since = clock.monotonic()
        self.leads = False

    @property
    def leader(self) -> int:
        """Its pid; 0 where it is not known."""
        return int(self._lock.owner) if self._lock.owner.isdecimal() else 0

    def stand(self) -> bool:
        """Whether this process leads from now on. Raises OSError."""
        self.leads = self._lock.take()
        if not self.leads:
            self._look()
        return self.leads

    def beat(self) -> None:
        """Show that the leader lives."""
        now = self._clock.monotonic()
        if now - self._since >= BEAT:
            self._since = now
            with suppress(OSError):  # somebody has removed it
                os.utime(self._sign)

    def silence(self) -> float:
        """Seconds since the leader's last sign of life, by this process's own clock."""
        return 0.0 if self.leads else self._clock.monotonic() - self._since

    def resign(self) -> None:
        self._lock.release()
        self.leads = False

    def _look(self) -> None:
        with suppress(OSError):
            sign = self._sign.stat().st_mtime_ns
            if sign != self._seen:
                self._seen, self._since = sign, self._clock.monotonic()
