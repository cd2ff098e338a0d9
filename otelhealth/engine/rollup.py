"""What a record says of a check's last hour, day and week: small counters in ever-turning slots."""

from __future__ import annotations

import base64
import zlib
from array import array
from collections.abc import Mapping
from typing import Any

HOUR = 3600.0
FINE = 300  # s, a slot of the hour and of the day's errors
_HOURS, _RECENT, _ERRORS = 168, 12, 288
_MOST = 65535


class Rollup:
    """Successes and failures by the hour for a week; durations of the last hour and failures of the last day by
    5 minutes. Errors have slots only once there are any. About 1 kB, and 0.6 kB with errors."""

    __slots__ = ("_errors", "_fine", "_hour", "_hours", "_recent")

    def __init__(self) -> None:
        self._hour = self._fine = 0  # the newest slots, counted from the Unix epoch
        self._hours = array("H", bytes(2 * 2 * _HOURS))  # success, failure by turns
        self._recent = array("f", bytes(4 * 2 * _RECENT))  # count, seconds by turns
        self._errors: array[int] | None = None

    def add(self, now: float, ok: bool, duration: float) -> None:
        """Count a run that passed (or warned) or failed; `duration` in seconds."""
        self._turn(now)
        index = 2 * (self._hour % _HOURS) + (not ok)
        if self._hours[index] < _MOST:
            self._hours[index] += 1
        index = 2 * (self._fine % _RECENT)
        self._recent[index] += 1
        self._recent[index + 1] += duration
        if ok:
            return
        if self._errors is None:
            self._errors = array("H", bytes(2 * _ERRORS))
        index = self._fine % _ERRORS
        if self._errors[index] < _MOST:
            self._errors[index] += 1

    def success_rate_7d(self, now: float) -> float | None:
        """0..1; None without a run in the last 7 days."""
        self._turn(now)
        good, bad = sum(self._hours[0::2]), sum(self._hours[1::2])
        return good / (good + bad) if good + bad else None

    def average_1h(self, now: float) -> float | None:
        """Mean duration in seconds; None without a run in the last hour."""
        self._turn(now)
        count = sum(self._recent[0::2])
        return sum(self._recent[1::2]) / count if count else None

    def errors_24h(self, now: float) -> int:
        self._turn(now)
        return sum(self._errors) if self._errors else 0

    def dump(self) -> dict[str, Any]:
        """JSON-able."""
        return {
            "hour": self._hour,
            "fine": self._fine,
            "hours": _pack(self._hours),
            "recent": _pack(self._recent),
            "errors": _pack(self._errors) if self._errors else None,
        }

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Rollup:
        """Raises ValueError or KeyError for what `dump` did not write."""
        rollup = cls()
        rollup._hour, rollup._fine = int(data["hour"]), int(data["fine"])
        _unpack(data["hours"], rollup._hours)
        _unpack(data["recent"], rollup._recent)
        if data["errors"] is not None:
            rollup._errors = array("H", bytes(2 * _ERRORS))
            _unpack(data["errors"], rollup._errors)
        return rollup

    def _turn(self, now: float) -> None:
        """Empty the slots that time has passed over; a clock that goes back keeps counting in the newest."""
        fine = int(now // FINE)
        if fine <= self._fine:
            return
        _clear(self._recent, self._fine, fine, _RECENT, 2)
        if self._errors:
            _clear(self._errors, self._fine, fine, _ERRORS, 1)
        self._fine = fine
        hour = int(now // HOUR)
        _clear(self._hours, self._hour, hour, _HOURS, 2)
        self._hour = max(hour, self._hour)


def _clear(slots: array[Any], newest: int, now: int, length: int, width: int) -> None:
    for slot in range(max(newest + 1, now - length + 1), now + 1):
        for index in range(width * (slot % length), width * (slot % length) + width):
            slots[index] = 0


def _pack(slots: array[Any]) -> str:
    return base64.b85encode(zlib.compress(slots.tobytes())).decode()


def _unpack(text: str, slots: array[Any]) -> None:
    """Into slots of the same size."""
    try:
        content = zlib.decompress(base64.b85decode(text), bufsize=4096)
    except zlib.error as error:
        raise ValueError("damaged counters") from error
    if len(content) != len(slots) * slots.itemsize:
        raise ValueError("counters of another size")
    slots[:] = array(slots.typecode, content)
