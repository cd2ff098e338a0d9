"""What became of one signal's requests since the start."""

from __future__ import annotations

from collections import Counter
from typing import Literal

Outcome = Literal["sent", "retried", "rejected", "duplicate"]
OUTCOMES: tuple[Outcome, ...] = ("sent", "retried", "rejected", "duplicate")
Reason = Literal["age", "size", "poison", "partial"]
REASONS: tuple[Reason, ...] = ("age", "size", "poison", "partial")


class Tally:
    """Counts; items are spans, points, log records."""

    def __init__(self) -> None:
        # `retried` are attempts; `duplicate` were sent again because an answer was lost: they may have arrived twice
        self.requests: Counter[Outcome] = Counter()
        self.dropped: Counter[Reason] = Counter()  # items
        self.delivered = 0  # items of this process' own
        self.lost: Counter[str] = Counter()  # items of this process' own, by error type
