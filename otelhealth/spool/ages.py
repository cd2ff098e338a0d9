"""The spool's own clock: it goes on evenly when the wall clock jumps, and over a restart."""

from __future__ import annotations

from otelhealth.clock import Clock

JUMP = 60.0  # s by which the wall clock has to differ to have jumped


class Ages:
    """Begins `offset` seconds before the wall clock, and never before `latest`, the newest that waits already."""

    def __init__(self, clock: Clock, offset: float = 0.0, latest: float = 0.0) -> None:
        self._clock = clock
        self.offset = max(offset, latest - clock.time())
        self._began = clock.time() + self.offset - clock.monotonic()

    def now(self) -> float:
        """Seconds."""
        return self._began + self._clock.monotonic()

    def jumped(self) -> bool:
        """Whether the wall clock has jumped since this was asked: `offset` is another then, and to be kept."""
        offset = self.now() - self._clock.time()
        if abs(offset - self.offset) < JUMP:
            return False
        self.offset = offset
        return True
