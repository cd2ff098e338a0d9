from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from otelhealth.engine.maintenance import NEVER, Maintenance, Window
from tests.engine.samples import unix


def window(**settings: Any) -> Window:
    return Window.model_validate({"name": "move", **settings})


ONCE = window(start="2026-03-01T02:00:00", end="2026-03-01T04:00:00", timezone="Europe/Paris")
MONTHLY = window(cron="0 3 1 * *", timezone="Europe/Paris", **{"for": "1h"}, checks=["postgres"])
WEEKLY = window(start="2026-03-01T02:00:00Z", every="7d", **{"for": "2h"}, checks=["api"])


@pytest.mark.parametrize(
    ("subject", "now", "going"),
    [
        (ONCE, "2026-03-01T00:59:59", False),
        (ONCE, "2026-03-01T01:00:00", True),
        (ONCE, "2026-03-01T02:59:59", True),
        (ONCE, "2026-03-01T03:00:00", False),
        (ONCE, "2027-03-01T01:30:00", False),
        (MONTHLY, "2026-06-01T00:59:59", False),
        (MONTHLY, "2026-06-01T01:00:00", True),
        (MONTHLY, "2026-06-01T01:59:59", True),
        (MONTHLY, "2026-06-01T02:00:00", False),
        (MONTHLY, "2026-12-01T02:30:00", True),
        (WEEKLY, "2026-02-28T03:00:00", False),
        (WEEKLY, "2026-03-01T03:00:00", True),
        (WEEKLY, "2026-03-02T03:00:00", False),
        (WEEKLY, "2026-03-08T03:59:59", True),
        (WEEKLY, "2026-03-08T04:00:00", False),
    ],
)
def test_a_window_goes_from_its_begin_to_its_end(subject: Window, now: str, going: bool) -> None:
    begin, end = subject.span(unix(now))
    assert (begin <= unix(now) < end) is going


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "a window begins either at `start` or by `cron`; give one of them"),
        ({"cron": "0 3 * * *", "start": "2026-03-01T02:00:00", "for": "1h"}, "give one of them"),
        ({"cron": "0 3 * * *"}, "a window needs an end; give `for`, or `end` with `start`"),
        (
            {"cron": "0 3 * * *", "end": "2026-03-01T02:00:00"},
            "`end` is for a window that comes once; give `for` alone",
        ),
        ({"start": "2026-03-01T02:00:00"}, "a window needs an end"),
        ({"start": "2026-03-01T02:00:00", "end": "2026-03-01T01:00:00"}, "`end` is not after `start`"),
        ({"start": "2026-03-01T02:00:00", "every": "1h", "for": "2h"}, "`every` needs `start` and a shorter `for`"),
        ({"cron": "x", "for": "1h"}, "bad cron expression 'x'"),
        ({"cron": "0 3 * * *", "for": "1h", "timezone": "Mars/Base"}, "unknown time zone 'Mars/Base'"),
    ],
)
def test_a_window_that_cannot_be_is_refused_with_the_remedy(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence.replace("`", ".")):
        window(**settings)


def test_windows_are_looked_at_again_only_when_one_begins_or_ends() -> None:
    maintenance = Maintenance([MONTHLY, ONCE])
    assert not maintenance.changed(unix("2026-02-01T12:00:00"))
    assert not maintenance.changed(unix("2026-03-01T00:30:00"))
    assert maintenance.changed(unix("2026-03-01T01:00:00"))
    assert maintenance.covers("anything")
    assert not maintenance.changed(unix("2026-03-01T01:30:00"))
    assert maintenance.changed(unix("2026-03-01T02:30:00"))
    assert maintenance.covers("postgres")
    assert maintenance.changed(unix("2026-03-01T03:00:00"))
    assert maintenance.covers("postgres") is False
    assert maintenance.changed(unix("2026-04-01T01:30:00"))
    assert (maintenance.covers("postgres"), maintenance.covers("api")) == (True, False)
    assert maintenance.changed(unix("2026-02-01T12:00:00"))


def test_without_windows_nothing_is_in_maintenance() -> None:
    maintenance = Maintenance([])
    assert not maintenance.changed(0.0)
    assert not maintenance.covers("db")
    assert ONCE.span(unix("2030-01-01T00:00:00")) == (NEVER, NEVER)
