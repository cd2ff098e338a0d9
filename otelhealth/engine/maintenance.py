"""Maintenance windows: when checks are expected to be down. Which they are now, and when that changes next."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from otelhealth.cron import Cron, CronText, Zone
from otelhealth.settings import Settings
from otelhealth.units import Duration

NEVER = float("inf")


class Window(Settings):
    """One window: once (`start` and `end` or `for`), recurring (`start`, `every`, `for`) or by `cron` (and `for`)."""

    name: str = Field(min_length=1, max_length=100, description="What people call it.")
    start: datetime | None = Field(
        None, description="Begin, such as 2026-03-01T02:00:00; without an offset in `timezone`."
    )
    end: datetime | None = Field(None, description="End of a window that comes once.")
    every: Duration | None = Field(None, ge=60, description="It recurs at this interval from `start` on, such as 7d.")
    cron: CronText | None = Field(None, description="It begins whenever this cron expression comes due.")
    timezone: Zone = Field("UTC", description="IANA zone of `cron`, and of `start` and `end` without an offset.")
    duration: Duration | None = Field(None, alias="for", gt=0, description="How long it lasts.")
    checks: Literal["all"] | tuple[str, ...] = Field("all", description="The checks it is for, or `all`.")

    @model_validator(mode="after")
    def _is_one_form(self) -> Self:
        if (self.cron is None) == (self.start is None):
            raise ValueError("a window begins either at `start` or by `cron`; give one of them")
        if self.end is not None and (self.duration is not None or self.cron or self.every):
            raise ValueError("`end` is for a window that comes once; give `for` alone")
        if self.end is None and self.duration is None:
            raise ValueError("a window needs an end; give `for`, or `end` with `start`")
        if self.every is not None and (self.cron or self.duration is None or self.duration >= self.every):
            raise ValueError("`every` needs `start` and a shorter `for`, and no `cron`")
        if self.start is not None and self.end is not None and self._unix(self.end) <= self._unix(self.start):
            raise ValueError("`end` is not after `start`")
        return self

    def _unix(self, moment: datetime) -> float:
        return (moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(self.timezone))).timestamp()

    def span(self, now: float) -> tuple[float, float]:
        """Begin and end (Unix seconds) of the occurrence that goes at `now`, else of the next one; `NEVER` of none."""
        if self.cron is not None:
            length = self.duration or 0.0
            begin = Cron(self.cron, self.timezone).after(now - length)
            return begin, begin + length
        assert self.start is not None  # noqa: S101 - the validator has seen to it
        begin = self._unix(self.start)
        end = self._unix(self.end) if self.end else begin + (self.duration or 0.0)
        if self.every is not None and now >= end:
            passed = (now - end) // self.every + 1
            return begin + passed * self.every, end + passed * self.every
        return (begin, end) if now < end else (NEVER, NEVER)


class Maintenance:
    """The windows, looked at only when one begins or ends."""

    def __init__(self, windows: Sequence[Window]) -> None:
        self._windows = windows
        self._from, self._until = NEVER, -NEVER  # between them nothing changes
        self._named: frozenset[str] = frozenset()
        self._everything = False

    def changed(self, now: float) -> bool:
        """Look at the clock; whether a window began or ended since."""
        if self._from <= now < self._until:
            return False
        before = (self._everything, self._named)
        spans = [(window, *window.span(now)) for window in self._windows]
        going = [window for window, begin, end in spans if begin <= now < end]
        self._everything = any(window.checks == "all" for window in going)
        self._named = frozenset(name for window in going if window.checks != "all" for name in window.checks)
        self._from = now
        self._until = min((edge for _, begin, end in spans for edge in (begin, end) if edge > now), default=NEVER)
        return before != (self._everything, self._named)

    def covers(self, name: str) -> bool:
        """Whether the check was in maintenance at the last look."""
        return self._everything or name in self._named
