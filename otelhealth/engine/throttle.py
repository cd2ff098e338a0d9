"""How often runs may be asked for."""

from __future__ import annotations

import math
from collections import deque

from otelhealth.clock import Clock
from otelhealth.errors import TooOftenError


class Throttle:
    """At most so many in any minute."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._times: deque[float] = deque(maxlen=per_minute)
        self._clock = clock

    def take(self) -> None:
        """Count one; raises TooOftenError where it is one too many."""
        now = self._clock.monotonic()
        if len(self._times) == self._times.maxlen and now - self._times[0] < 60:
            wait = 60 - (now - self._times[0])
            remedy = f"wait {math.ceil(wait)}s, or raise server.limits.runs_per_minute"
            raise TooOftenError("runs on demand come too often", remedy, wait)
        self._times.append(now)
