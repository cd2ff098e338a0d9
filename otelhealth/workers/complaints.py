"""What goes wrong for a while: said once when it begins, and once when it is over."""

from __future__ import annotations

import logging

log = logging.getLogger("otelhealth.workers")


class Complaints:
    def __init__(self) -> None:
        self._open: set[str] = set()

    def forget(self, *of: str) -> None:
        """Something else is said of it."""
        self._open.difference_update(of)

    def say(self, of: str, problem: str, well: str = "") -> None:
        """`problem` is "" where there is none (any more)."""
        if bool(problem) == (of in self._open):
            return
        if problem:
            self._open.add(of)
            log.error("%s", problem)
        else:
            self._open.discard(of)
            log.warning("%s", well)
