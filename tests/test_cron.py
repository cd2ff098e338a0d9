from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.cron import Cron


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("expression", "moment", "due"),
    [
        ("*/15 * * * *", "2026-01-01T00:07:00", "2026-01-01T00:15:00"),
        ("0 2 * * *", "2026-01-01T02:00:00", "2026-01-02T02:00:00"),
        ("0 3 1 * *", "2026-01-31T00:00:00", "2026-02-01T03:00:00"),
        ("0 9 * * MON", "2026-11-21T00:00:00", "2026-11-23T09:00:00"),
        ("0 0 29 2 *", "2026-01-01T00:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_the_next_time_is_strictly_after_the_moment(expression: str, moment: str, due: str) -> None:
    assert Cron(expression).after(at(moment)) == at(due)


def test_a_time_is_meant_in_its_zone() -> None:
    assert Cron("0 2 * * *", "Europe/Paris").after(at("2026-07-01T00:00:00")) == at(
        "2026-07-02T02:00:00", "Europe/Paris"
    )


def test_a_time_that_a_spring_night_leaves_out_comes_once_and_at_once() -> None:
    # 2026-03-29: Paris goes from 02:00 to 03:00
    cron, zone = Cron("30 2 * * *", "Europe/Paris"), "Europe/Paris"
    first = cron.after(at("2026-03-28T12:00:00", zone))
    assert first == at("2026-03-29T03:00:00", zone)
    assert cron.after(first) == at("2026-03-30T02:30:00", zone)


def test_a_time_that_an_autumn_night_has_twice_comes_once() -> None:
    # 2026-10-25: Paris goes from 03:00 back to 02:00
    cron, zone = Cron("30 2 * * *", "Europe/Paris"), "Europe/Paris"
    first = cron.after(at("2026-10-24T12:00:00", zone))
    second = cron.after(first)
    assert datetime.fromtimestamp(first, ZoneInfo(zone)).day == 25
    assert second == at("2026-10-26T02:30:00", zone)


def test_an_hourly_schedule_goes_on_through_both_nights() -> None:
    cron = Cron("0 * * * *", "Europe/Paris")
    for night in ("2026-03-29T00:00:00", "2026-10-25T00:00:00"):
        moment = at(night, "Europe/Paris")
        for _ in range(6):
            due = cron.after(moment)
            assert due - moment == 3600
            moment = due


@given(st.floats(min_value=0, max_value=4e9))
def test_what_is_due_comes_later_and_on_the_minute(moment: float) -> None:
    due = Cron("*/5 * * * *", "Asia/Kathmandu").after(moment)
    assert 0 < due - moment <= 300
    assert due % 60 == 0


@pytest.mark.parametrize("expression", ["", "* * *", "61 * * * *", "0 0 31 2 *", "every minute", "* * * * * * *"])
def test_a_bad_expression_is_refused_with_an_example(expression: str) -> None:
    with pytest.raises(ValueError, match=r"cron expression .* write one such as '0 2 \* \* \*'"):
        Cron(expression)


@pytest.mark.parametrize("zone", ["", "Europe/Pariss", "../etc/passwd", "/etc/passwd", "a\0b"])
def test_an_unknown_zone_is_refused_with_an_example(zone: str) -> None:
    with pytest.raises(ValueError, match=r"unknown time zone .* use an IANA name such as Europe/Paris"):
        Cron("* * * * *", zone)
