"""Which checks are watched, and who runs them."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry import trace

from otelhealth.clock import ManualClock
from otelhealth.engine.board import Board
from otelhealth.engine.roster import Roster
from otelhealth.engine.runner import Runner
from otelhealth.engine.scheduler import Scheduler
from otelhealth.engine.state import CheckState
from otelhealth.engine.threads import ThreadLane
from otelhealth.model import Surroundings
from otelhealth.telemetry.instruments import Instruments
from tests.engine.samples import result, sample


async def never(*_: object) -> None:
    """Nothing is started: no scheduler goes."""


class Place:
    """A roster and what it puts checks into."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.board = Board()
        self.instruments = Instruments(self.clock)
        self.scheduler = Scheduler(never, self.clock)
        runner = Runner(self.clock, ThreadLane(self.clock), Surroundings(), trace.NoOpTracer())
        self.roster = Roster(self.board, runner, self.scheduler, self.instruments, self.clock)

    def snapshot(self, name: str = "db", *runs: str, every: str = "30s") -> dict[str, Any]:
        """As another process would tell of it, the last run just now."""
        state = CheckState(sample(name, every=every), self.clock.time())
        for run in runs:
            state.apply(result(run, self.clock.time()), self.clock.time())
        return state.dump()

    def exported(self) -> set[str]:
        return {family.name for family in self.instruments.families() if family.name.startswith("otelhealth.check.")}


@pytest.fixture
def place() -> Place:
    return Place()


def test_checks_that_another_process_runs_are_on_the_board_and_nowhere_else(place: Place) -> None:
    place.roster.put(sample("db"))
    place.roster.hear("db", place.snapshot("db", "pass"))
    place.roster.hear("api", place.snapshot("api", "fail", "fail", "fail"))
    place.roster.put(sample("api"))
    assert {state.name: state.status.value for state in place.board} == {"db": "pass", "api": "fail"}
    assert "db" not in place.scheduler
    assert place.exported() == set()


def test_what_is_told_of_a_check_that_is_watched_no_more_is_forgotten(place: Place) -> None:
    place.roster.hear("db", place.snapshot("db", "pass"))
    place.roster.hear("db", None)
    place.roster.put(sample("db"))
    assert place.board.states["db"].status == "unknown"


def test_silence_makes_a_state_unknown_and_news_mend_it(place: Place) -> None:
    place.roster.put(sample("db", every="1s", timeout="1s"))
    place.roster.hear("db", place.snapshot("db", "pass", every="1s"))
    place.clock.advance(30)
    place.roster.sweep()
    assert place.board.states["db"].status == "unknown"
    place.roster.hear("db", place.snapshot("db", "pass", every="1s"))
    assert place.board.states["db"].status == "pass"


def test_what_is_told_too_late_is_stale_at_once(place: Place) -> None:
    place.roster.put(sample("db", every="1s", timeout="1s"))
    told = place.snapshot("db", "pass", every="1s")
    place.clock.advance(30)
    place.roster.hear("db", told)
    place.roster.sweep()
    assert place.board.states["db"].status == "unknown"


def test_a_process_that_takes_over_runs_each_check_when_the_other_would_have(place: Place) -> None:
    for name in ("soon", "late", "never"):
        place.roster.put(sample(name, every="30s"))
    place.roster.hear("late", place.snapshot("late", "pass"))
    place.clock.advance(28)
    place.roster.hear("soon", place.snapshot("soon", "fail"))
    place.clock.advance(4)
    place.roster.lead({"never": place.snapshot("never", "pass")})
    entries = place.scheduler._timetable.entries  # noqa: SLF001 - when a check is due is told nowhere else
    due = {name: entry.due for name, entry in entries.items()}
    now = place.clock.monotonic()
    assert due["late"] == now  # was due 2 s ago
    assert due["soon"] == now + 6  # undecided: not in 26 s
    assert due["never"] <= now + 30
    assert place.board.states["never"].status == "pass"
    assert "otelhealth.check.status" in place.exported()


def test_of_two_snapshots_the_later_counts(place: Place) -> None:
    old = place.snapshot("db", "pass")
    place.clock.advance(1)
    new = place.snapshot("db", "fail", "fail", "fail")
    for told, kept in ((old, new), (new, old)):
        one = Place()
        one.roster.hear("db", told)
        one.roster.lead({"db": kept})
        one.roster.put(sample("db"))
        assert one.board.states["db"].status == "fail"


@pytest.mark.parametrize("told", [{"status": "odd"}, {}, {"fresh_until": "soon"}])
def test_odd_news_are_left_and_said(place: Place, told: dict[str, Any], caplog: pytest.LogCaptureFixture) -> None:
    place.roster.put(sample("db"))
    place.roster.hear("db", {**place.snapshot("db", "pass"), **told} if told else {})
    assert "what another process told of db cannot be read" in caplog.text
