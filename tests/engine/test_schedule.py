from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.engine.schedule import Timetable, slot_from, stable_share
from tests.engine.samples import NOW, sample, unix


class Days:
    """A timetable with its two clocks, moved by hand."""

    def __init__(self, wall: float = NOW) -> None:
        self.mono = 1000.0
        self.wall = wall
        self.table = Timetable(self.mono, self.wall, Random(1))

    def go(self, seconds: float, step: float = 0.01) -> list[tuple[str, float]]:
        """What is started in the next seconds, and when (monotonic)."""
        started = []
        end = self.mono + seconds
        while (due := self.table.next_due()) is not None and max(due, self.mono + step) <= end:
            self.advance(max(due, self.mono + step) - self.mono)
            started += self.take()
        self.advance(end - self.mono)
        return started

    def take(self) -> list[tuple[str, float]]:
        self.table.jump(self.mono, self.wall)
        return [(entry.check.name, self.mono) for entry, _ in self.table.take(self.mono, self.wall, 1_000_000)]

    def advance(self, seconds: float) -> None:
        self.mono += seconds
        self.wall += seconds


def gaps(started: list[tuple[str, float]]) -> list[float]:
    times = [time for _, time in started]
    return [round(after - before, 2) for before, after in pairwise(times)]


def test_ten_thousand_checks_spread_evenly_over_their_interval() -> None:
    tenths = Counter(int(stable_share(f"check-{number}") * 10) for number in range(10_000))
    assert len(tenths) == 10
    assert all(850 < count < 1150 for count in tenths.values())


def test_the_place_of_a_name_is_always_the_same() -> None:
    assert stable_share("db") == stable_share("db") != stable_share("api")


@given(st.floats(0, 1e9), st.floats(0.1, 1e6), st.floats(0, 1, exclude_max=True))
def test_a_slot_is_the_next_one_of_a_grid(moment: float, every: float, share: float) -> None:
    slot = slot_from(moment, every, share)
    assert moment - 1e-6 <= slot <= moment + every * (1 + 1e-9)
    steps = (slot - share * every) / every
    assert steps == pytest.approx(round(steps), abs=1e-3)


@pytest.mark.parametrize(("every", "within"), [("1s", 1.0), ("5s", 5.0), ("30s", 5.0), ("1h", 5.0)])
def test_every_check_first_runs_within_its_interval_and_five_seconds(every: str, within: float) -> None:
    days = Days()
    for number in range(200):
        days.table.add(sample(f"c{number}", every=every), days.mono, days.wall)
    assert len({name for name, _ in days.go(within + 0.01)}) == 200


def test_after_its_first_run_a_check_keeps_to_its_own_slots_without_drift() -> None:
    days = Days()
    days.table.add(sample(every="30s"), days.mono, days.wall)
    started = [time for _, time in days.go(3600 * 24)]
    assert 15 <= started[1] - started[0] <= 45
    assert all(abs((time - started[1]) % 30) < 0.02 or (time - started[1]) % 30 > 29.98 for time in started[1:])
    assert len(started) in (2880, 2881)


def test_checks_whose_slots_lie_close_together_start_together_and_keep_their_slots() -> None:
    days = Days()
    for name, first in (("a", 2.0), ("b", 2.2), ("c", 2.4)):
        days.table.add(sample(name, every="10s"), days.mono, days.wall, first=first)
    assert [(name, round(time, 2)) for name, time in days.go(3)] == [("a", 1002), ("b", 1002), ("c", 1002.4)]
    slots = {name: entry.slot for name, entry in days.table.entries.items()}
    later = days.go(1000)
    assert all(abs(count - 100) <= 1 for count in Counter(name for name, _ in later).values())
    assert all(-0.02 < (slots[name] - time + 5) % 10 - 5 < 0.27 for name, time in later)
    assert days.table.missed == 0


def test_no_more_than_a_few_start_early_in_company() -> None:
    days = Days()
    for number in range(20):
        days.table.add(sample(f"c{number}", every="10s"), days.mono, days.wall, first=1 + number / 100)
    days.advance(1.005)
    assert [name for name, _ in days.take()] == ["c0", "c1", "c2", "c3"]


@pytest.mark.parametrize("kind", ["of an interval", "cron", "of a short interval", "undecided", "running"])
def test_only_a_check_of_a_plain_interval_whose_last_run_has_ended_starts_early(kind: str) -> None:
    days = Days()
    days.table.add(sample("first", every="20s"), days.mono, days.wall, first=2.0)
    settings = {"cron": {"cron": "* * * * *"}, "of a short interval": {"every": "1s"}}
    other = days.table.add(sample(**settings.get(kind, {"every": "20s"})), days.mono, days.wall, first=2.1)
    if kind == "undecided":
        days.table.hurry("db", True, days.mono)
    if kind == "running":
        other.stage = "running"
    days.advance(2.005)
    assert [name for name, _ in days.take()] == ["first", "db"][: 1 + (kind == "of an interval")]


def test_a_first_run_can_be_given() -> None:
    days = Days()
    days.table.add(sample(every="30s"), days.mono, days.wall, first=2.0)
    days.table.add(sample("cron", cron="0 3 * * *"), days.mono, days.wall, first=3.0)
    assert [(name, round(time)) for name, time in days.go(4)] == [("db", 1002), ("cron", 1003)]


def test_jitter_moves_each_start_within_its_share_of_the_interval() -> None:
    days = Days()
    days.table.add(sample(every="10s", jitter="50%"), days.mono, days.wall)
    waits = gaps(days.go(2000))[2:]
    assert len(set(waits)) > 50
    assert all(5 <= wait <= 15 for wait in waits)
    assert sum(waits) / len(waits) == pytest.approx(10, abs=0.2)


def test_after_a_long_stall_missed_slots_are_counted_and_not_made_up_for_in_a_burst() -> None:
    days = Days()
    for number in range(100):
        days.table.add(sample(f"c{number}", every="10s"), days.mono, days.wall)
    days.go(60)
    days.advance(3600)
    assert days.take() == []
    assert 100 * 358 <= days.table.missed <= 100 * 361
    started = days.go(5.1)
    assert len(started) == 100
    assert len({round(time, 1) for _, time in started}) > 20


def test_a_short_stall_loses_nothing() -> None:
    days = Days()
    for number in range(100):
        days.table.add(sample(f"c{number}", every="30s"), days.mono, days.wall)
    days.go(60)
    days.advance(6)
    late = days.take()
    assert 5 < len(late) < 40
    assert len(late) + len(days.go(24)) == 100
    assert days.table.missed == 0


@pytest.mark.parametrize(("every", "fast"), [("30s", 6.0), ("3s", 1.0), ("500ms", 0.5), ("10m", 120.0)])
def test_an_undecided_check_runs_five_times_as_often_but_at_least_a_second_apart(every: str, fast: float) -> None:
    days = Days()
    days.table.add(sample(every=every), days.mono, days.wall, first=0)
    assert len(days.go(0.02)) == 1
    days.table.hurry("db", True, days.mono)
    assert gaps(days.go(fast * 4.5)) == pytest.approx([fast] * 3, abs=0.03)


def test_a_decided_check_returns_to_its_slots() -> None:
    days = Days()
    days.table.add(sample(every="30s"), days.mono, days.wall)
    before = days.go(65)[-1][1]
    days.table.hurry("db", True, days.mono)
    days.go(20)
    days.table.hurry("db", False, days.mono)
    after = [time for _, time in days.go(120)]
    assert all((time - before) % 30 == pytest.approx(0, abs=0.02) or (time - before) % 30 > 29.98 for time in after)
    assert gaps([("", time) for time in after]) == pytest.approx([30] * (len(after) - 1), abs=0.03)


def test_hurrying_a_check_that_is_gone_is_no_error() -> None:
    Days().table.hurry("gone", True, 1000.0)


def test_a_poked_check_runs_at_once_and_then_in_its_slots() -> None:
    days = Days()
    days.table.add(sample(every="60s"), days.mono, days.wall)
    last = days.go(130)[-1][1]
    days.advance(last + 20 - days.mono)
    days.table.poke("db", days.mono)
    first, second = (time for _, time in days.go(61))
    assert first - last == pytest.approx(20, abs=0.05)
    assert second - last == pytest.approx(60, abs=0.05)


def test_a_removed_check_does_not_start() -> None:
    days = Days()
    days.table.add(sample(every="1s"), days.mono, days.wall)
    days.table.remove("db")
    assert days.go(10) == []


def test_new_settings_of_the_same_timing_leave_the_due_time() -> None:
    days = Days()
    entry = days.table.add(sample(every="30s"), days.mono, days.wall)
    days.go(40)
    due = entry.due
    days.table.replace(sample(every="30s", timeout="3s"), days.mono, days.wall)
    assert (entry.due, entry.check.timeout) == (due, 3.0)
    days.table.replace(sample(every="2s"), days.mono, days.wall)
    assert len(days.go(10)) >= 5


def test_a_cron_check_runs_at_its_local_time() -> None:
    days = Days(unix("2026-06-01T00:00:00"))
    days.table.add(sample(cron="0 2 * * *", timezone="Europe/Paris"), days.mono, days.wall)
    days.go(3600 * 24 * 3, step=1)
    started = days.go(3600 * 24, step=1)
    assert len(started) == 1
    assert (started[0][1] - 1000.0) % 86400 == 0  # 02:00 in Paris is midnight UTC in summer


def test_a_cron_check_that_is_undecided_runs_a_fifth_of_its_period_apart() -> None:
    days = Days(unix("2026-06-01T00:00:30"))
    days.table.add(sample(cron="*/5 * * * *"), days.mono, days.wall)
    days.go(300)
    days.table.hurry("db", True, days.mono)
    assert len(days.go(300)) in (5, 6)
    days.table.hurry("db", False, days.mono)
    assert len(days.go(600)) == 2


def test_a_clock_set_forward_over_a_cron_slot_makes_up_for_it_once() -> None:
    days = Days(unix("2026-06-01T01:30:00"))
    days.table.add(sample(cron="0 2 * * *"), days.mono, days.wall)
    days.wall += 3600
    assert days.table.jump(days.mono, days.wall) == 3600
    started = days.go(3600 * 20)
    assert [round(time - 1000) <= 5 for _, time in started] == [True]


def test_a_cron_slot_that_a_long_sleep_passed_over_is_skipped_and_counted() -> None:
    days = Days(unix("2026-06-01T01:30:00"))
    days.table.add(sample(cron="0 2 * * *"), days.mono, days.wall)
    days.wall += 8 * 3600
    days.table.jump(days.mono, days.wall)
    assert days.table.missed == 1
    assert len(days.go(3600 * 16)) == 0
    assert len(days.go(3600)) == 1


def test_a_clock_set_back_does_not_run_a_cron_slot_twice() -> None:
    days = Days(unix("2026-06-01T01:59:00"))
    days.table.add(sample(cron="0 2 * * *"), days.mono, days.wall)
    assert len(days.go(120)) == 1
    days.wall -= 3600
    days.table.jump(days.mono, days.wall)
    assert len(days.go(3600 * 23)) == 0
    assert len(days.go(3600 * 2)) == 1


def test_a_wall_clock_that_is_slewed_still_meets_the_cron_slot() -> None:
    days = Days(unix("2026-06-01T00:00:00"))
    days.table.add(sample(cron="0 2 * * *"), days.mono, days.wall)
    started = []
    for _ in range(7200 + 60):
        days.advance(1)
        days.wall -= 0.001
        started += [days.wall for _ in days.take()]
    assert started == [pytest.approx(unix("2026-06-01T02:00:00"), abs=1.1)]
