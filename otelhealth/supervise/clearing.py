"""The end of what a command has left behind: told to end, then killed."""

from __future__ import annotations

import signal
from collections.abc import Callable

from otelhealth.supervise.timers import Timers
from otelhealth.supervise.tree import below, send

_MOST = 1.0  # s that it may take to end by itself
_SHORT = 0.5  # s after the kill: where orphans do not come to us, nothing tells their end


class Clearing:
    """`spared` gives the process that stays, with all below it; `done` is called once nothing else is left."""

    def __init__(self, timers: Timers, spared: Callable[[], int | None], done: Callable[[], None]) -> None:
        self._timers = timers
        self._spared = spared
        self._done = done
        self.going_on = False

    def begin(self, grace: float) -> None:
        self.going_on = True
        send(below(self._spared()), signal.SIGTERM)
        self._timers.set("left", min(grace, _MOST), self.kill)

    def kill(self) -> None:
        send(below(self._spared()), signal.SIGKILL)
        self._timers.set("left", _SHORT, self._end)

    def look(self) -> None:
        """A child has ended: was it the last?"""
        if self.going_on and not below(self._spared()):
            self._end()

    def _end(self) -> None:
        self.going_on = False
        self._timers.cancel("left")
        self._done()
