"""When a command that has ended is started again. Pure."""

from __future__ import annotations

from typing import Literal, NamedTuple

Policy = Literal["never", "on-failure", "always"]


class Rules(NamedTuple):
    """`backoff` and its limit in seconds; `most` restarts in a row, None for any number."""

    policy: Policy = "never"
    backoff: float = 1.0
    max_backoff: float = 60.0
    most: int | None = None
    steady: float = 60.0  # seconds of running after which the back-off, and the count of those in a row, begin anew


class Restarts:
    """The restarts of one command, as its rules allow them."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._in_a_row = 0
        self.count = 0

    def pause(self, code: int, lasted: float) -> float | None:
        """Seconds to wait before the next start, for a command that ended with `code` after `lasted` seconds.

        None: it stays ended.
        """
        rules = self._rules
        if rules.policy == "never" or (rules.policy == "on-failure" and code == 0):
            return None
        if lasted >= rules.steady:
            self._in_a_row = 0
        if rules.most is not None and self._in_a_row >= rules.most:
            return None
        doublings = min(self._in_a_row, 64)  # a float holds 2**64; beyond it the limit has long been reached
        self._in_a_row += 1
        self.count += 1
        return float(min(rules.max_backoff, rules.backoff * 2.0**doublings))
