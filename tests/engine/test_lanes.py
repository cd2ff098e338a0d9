from __future__ import annotations

from otelhealth.engine.lanes import FAST, SLOW, Lanes, Limits
from otelhealth.engine.schedule import Entry
from tests.engine.samples import sample

TIGHT = Limits(fast=8, slow=4, tier1_share=0.25, patience=0.25)


class Started:
    """Lanes, and what they started."""

    def __init__(self, limits: Limits = TIGHT) -> None:
        self.now = 100.0
        self.names: list[str] = []
        self.lanes = Lanes(self.start, limits)

    def start(self, entry: Entry, due: float) -> None:
        assert due <= self.now
        entry.begun = self.now
        self.names.append(f"{entry.check.name} {entry.lane}")

    def submit(self, *names: str, tier: int = 2, slow: bool = False) -> list[Entry]:
        entries = [Entry(sample(name, tier=tier)) for name in names]
        for entry in entries:
            entry.slow = slow
            self.lanes.submit(entry, self.now)
        return entries

    def taken(self) -> list[str]:
        names, self.names = self.names, []
        return names


def numbered(letter: str, count: int) -> list[str]:
    return [f"{letter}{number}" for number in range(count)]


def test_runs_start_at_once_while_there_is_room() -> None:
    started = Started()
    started.submit("a", "b")
    assert started.taken() == ["a fast", "b fast"]
    assert started.lanes.running == {FAST: 2, SLOW: 0}


def test_waiting_runs_start_in_the_order_they_came_due() -> None:
    started = Started()
    first = started.submit(*numbered("a", 6))
    started.submit("x", "y")
    assert len(started.taken()) == 6
    assert started.lanes.waiting == 2
    started.lanes.release(first[3])
    started.lanes.release(first[0])
    assert started.taken() == ["x fast", "y fast"]


def test_tier_1_has_a_share_that_others_cannot_take() -> None:
    started = Started()
    started.submit(*numbered("a", 20))
    assert len(started.taken()) == 6
    started.submit("db", tier=1)
    assert started.taken() == ["db fast"]


def test_tier_1_goes_before_others_that_wait() -> None:
    started = Started()
    going = started.submit(*numbered("one", 8), tier=1)
    started.submit("late")
    started.submit("db", tier=1)
    started.taken()
    started.lanes.release(going[0])
    assert started.taken() == ["db fast"]


def test_a_check_that_timed_out_runs_in_the_slow_lane_with_its_own_cap() -> None:
    started = Started()
    started.submit(*numbered("dead", 10), slow=True)
    assert started.taken() == ["dead0 slow", "dead1 slow", "dead2 slow"]
    started.submit("alive")
    assert started.taken() == ["alive fast"]


def test_a_run_that_does_not_answer_makes_room_in_the_fast_lane() -> None:
    started = Started()
    hanging = started.submit(*numbered("dead", 6))
    started.submit("alive")
    started.taken()
    started.now += 0.3
    started.lanes.sweep(started.now)
    assert started.taken() == ["alive fast"]
    assert started.lanes.running == {FAST: 4, SLOW: 3}
    for entry in hanging:
        started.lanes.release(entry)
    assert started.lanes.running == {FAST: 1, SLOW: 0}


def test_a_run_that_ended_is_not_moved() -> None:
    started = Started()
    (entry,) = started.submit("a")
    started.lanes.release(entry)
    started.lanes.submit(entry, started.now)
    started.lanes.release(entry)
    started.now += 1
    started.lanes.sweep(started.now)
    assert started.lanes.running == {FAST: 0, SLOW: 0}


def test_a_hanging_run_that_finds_the_slow_lane_full_is_moved_later() -> None:
    started = Started()
    dead = started.submit(*numbered("dead", 3), slow=True)
    started.submit("hangs")
    started.now += 0.3
    started.lanes.sweep(started.now)
    assert started.lanes.running == {FAST: 1, SLOW: 3}
    started.lanes.release(dead[0])
    started.now += 0.3
    started.lanes.sweep(started.now)
    assert started.lanes.running == {FAST: 0, SLOW: 3}


def test_a_run_given_up_while_it_waits_never_starts() -> None:
    started = Started()
    going = started.submit(*numbered("a", 6))
    (gone, stays) = started.submit("gone", "stays")
    started.taken()
    started.lanes.release(gone)
    started.lanes.release(going[0])
    assert started.taken() == ["stays fast"]
    assert stays.stage == "running"
