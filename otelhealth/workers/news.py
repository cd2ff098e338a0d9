"""What workers tell each other at one time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from otelhealth.telemetry.windows import Count, Part


@dataclass
class Draft:
    """What this worker has to tell."""

    states: dict[str, Mapping[str, Any] | None] = field(default_factory=dict)  # snapshots; None: no such check
    parts: list[Part] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    metrics: tuple[str, str] | None = None  # resource and families
    asks: dict[str, tuple[float, str]] = field(default_factory=dict)  # by id: until (Unix seconds), question
    replies: dict[str, str] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)  # ids of asks whose replies came, or come too late
    left: bool = False  # it goes

    def __bool__(self) -> bool:
        told = (self.states, self.parts, self.counts, self.metrics, self.asks, self.replies, self.heard, self.left)
        return any(told)


class News(NamedTuple):
    """What the others told since the last time."""

    states: Mapping[str, dict[str, Any] | None] = {}
    parts: Sequence[Part] = ()
    counts: Sequence[Count] | None = None  # all of the day, where they changed
    asks: Mapping[str, str] = {}  # that wait for a reply
    replies: Mapping[str, str] = {}
