"""What became of one signal's requests since the start."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["sent", "retried", "rejected", "duplicate"]
OUTCOMES: tuple[Outcome, ...] = ("sent", "retried", "rejected", "duplicate")
Reason = Literal["age", "size", "poison", "partial"]
REASONS: tuple[Reason, ...] = ("age", "size", "poison", "partial")


@dataclass(slots=True)
class Tally:
    """Requests by outcome; items that were dropped by reason. `delivered` and `lost` (by error type) are items of this
    process' own.

    `retried` are attempts; `duplicate` were sent again because an answer was lost, so they may have arrived twice.
    """

    requests: Counter[Outcome] = field(default_factory=Counter)
    dropped: Counter[Reason] = field(default_factory=Counter)
    delivered: int = 0
    lost: Counter[str] = field(default_factory=Counter)
