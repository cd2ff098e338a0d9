"""Cron expressions in a time zone, by cronsim (Debian cron's rules for daylight saving time)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator


def zone(name: str) -> ZoneInfo:
    """Raises ValueError where there is none of that IANA name."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"unknown time zone {name!r}; use an IANA name such as Europe/Paris") from error


Zone = Annotated[str, AfterValidator(lambda name: zone(name) and name)]


class Cron:
    """A schedule such as `0 2 * * *` in `Europe/Paris`; raises ValueError for a bad expression or zone."""

    def __init__(self, expression: str, timezone: str = "UTC") -> None:
        self.expression = expression
        self._zone = zone(timezone)
        try:
            next(CronSim(expression, datetime.now(self._zone)))
        except CronSimError as error:
            said = f"bad cron expression {expression!r}: {str(error).lower()}"
            raise ValueError(f"{said}; write one such as '0 2 * * *' (minute hour day month weekday)") from error
        except StopIteration as error:
            raise ValueError(f"cron expression {expression!r} never comes due; check its day and month") from error

    def after(self, moment: float) -> float:
        """The first due time (Unix seconds) strictly after `moment`."""
        start = datetime.fromtimestamp(moment, UTC).astimezone(self._zone)
        return next(CronSim(self.expression, start)).timestamp()


CronText = Annotated[str, AfterValidator(lambda text: Cron(text) and text)]
