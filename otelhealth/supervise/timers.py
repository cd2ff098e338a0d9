"""What is to be done later, by name: setting one again replaces it."""

from __future__ import annotations

import time
from collections.abc import Callable

_LONG = 3600.0  # s


class Timers:
    def __init__(self) -> None:
        self._due: dict[str, tuple[float, Callable[[], None]]] = {}

    def set(self, name: str, seconds: float, action: Callable[[], None]) -> None:
        self._due[name] = (time.monotonic() + seconds, action)

    def cancel(self, *names: str) -> None:
        for name in names:
            self._due.pop(name, None)

    def left(self, name: str) -> float:
        """Seconds until it is due; endless for what is not set."""
        return self._due[name][0] - time.monotonic() if name in self._due else float("inf")

    def patience(self) -> float:
        """Seconds until the next is due."""
        return min((max(0.0, self.left(name)) for name in self._due), default=_LONG)

    def run_due(self) -> None:
        for name in list(self._due):
            if name in self._due and self.left(name) <= 0:
                self._due.pop(name)[1]()
