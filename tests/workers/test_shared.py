"""The file in which workers tell each other what they know."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from otelhealth.clock import ManualClock
from otelhealth.telemetry.windows import APPLICATION, Count, Part
from otelhealth.workers.news import Draft, News
from otelhealth.workers.shared import Shared


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def three(tmp_path: Path, clock: ManualClock) -> Iterator[list[Shared]]:
    with ExitStack() as opened:
        made = [Shared(tmp_path / "workers.db", number, f"life {number}", clock) for number in range(3)]
        for each in made:
            each.open()
            opened.callback(each.close)
        yield made


def part(clock: ManualClock, requests: int = 3) -> tuple[Part, Count]:
    now = int(clock.time())
    return Part(APPLICATION, now // 10, 1, 0.5, {-40: requests}), Count(APPLICATION, now // 300, requests, 1)


def test_what_one_tells_the_others_hear_once(three: list[Shared]) -> None:
    leader, first, second = three
    leader.write(Draft(states={"db": {"status": "pass"}, "api": {"status": "fail"}}))
    assert first.read().states == {"db": {"status": "pass"}, "api": {"status": "fail"}}
    assert first.read() == News()
    leader.write(Draft(states={"db": {"status": "warn"}, "api": None}))
    assert first.read().states == {"db": {"status": "warn"}, "api": None}
    assert second.read().states == {"api": None, "db": {"status": "warn"}}
    assert leader.read().states == {}


def test_a_state_that_is_no_json_keeps_the_others_from_nothing(
    three: list[Shared], caplog: pytest.LogCaptureFixture
) -> None:
    leader, first, _ = three
    ring: list[object] = []
    ring.append(ring)
    leader.write(Draft(states={"odd": {"details": ring}, "db": {"status": "pass"}}))
    assert first.read().states == {"db": {"status": "pass"}}
    assert "odd is not JSON" in caplog.text


def test_requests_are_told_to_the_others_and_all_counts_of_the_day_to_everybody(
    three: list[Shared], clock: ManualClock
) -> None:
    first, second, _ = three
    mine, count = part(clock)
    first.write(Draft(parts=[mine], counts=[count]))
    second.write(Draft(counts=[count]))
    assert first.read()[1:3] == ([], [Count(APPLICATION, count.span, 6, 2)])
    assert second.read()[1:3] == ([mine], [Count(APPLICATION, count.span, 6, 2)])
    assert second.read().counts is None


def test_requests_are_forgotten_after_their_time(three: list[Shared], tmp_path: Path, clock: ManualClock) -> None:
    first, second, _ = three
    mine, count = part(clock)
    first.write(Draft(parts=[mine], counts=[count]))
    clock.advance(900)
    assert second.read()[1:3] == ([], [count])
    later, more = part(clock)
    first.write(Draft(parts=[later], counts=[more]))
    clock.advance(86_400 - 600)
    last, most = part(clock)
    first.write(Draft(parts=[last], counts=[most]))
    other = Shared(tmp_path / "workers.db", 5, "life 5", clock)
    news = other.open()
    other.close()
    assert (news.parts, news.counts) == ([last], [more, most])


def test_a_question_waits_until_it_is_answered_or_too_old(three: list[Shared], clock: ManualClock) -> None:
    leader, asker, other = three
    asker.write(Draft(asks={"one": (clock.time() + 5, "run db"), "two": (clock.time() + 50, "run api")}))
    assert leader.read().asks == {"one": "run db", "two": "run api"}
    leader.write(Draft(replies={"two": "it passed"}))
    assert asker.read()[3:] == ({"one": "run db"}, {"two": "it passed"})
    assert other.read()[3:] == ({"one": "run db"}, {})
    asker.write(Draft(heard=["two"]))
    clock.advance(5)
    assert other.read(asks=True)[3:] == ({}, {})


def test_metrics_are_those_of_the_others_while_they_are_fresh(three: list[Shared], clock: ManualClock) -> None:
    first, second, third = three
    for number, each in enumerate(three):
        each.write(Draft(metrics=(f"resource {number}", f"families {number}")))
    clock.advance(10)
    second.write(Draft(metrics=("resource 1", "newer")))
    assert first.metrics(clock.time() - 30) == [("resource 1", "newer"), ("resource 2", "families 2")]
    third.write(Draft(left=True))
    assert first.metrics(clock.time() - 30) == [("resource 1", "newer")]
    assert first.metrics(clock.time()) == []


def test_the_file_is_its_owners_alone_and_one_that_was_replaced_is_noticed(three: list[Shared]) -> None:
    first, second, _ = three
    assert {file.stat().st_mode & 0o777 for file in first.path.parent.iterdir()} == {0o600}
    assert first.usable
    second.remove()
    assert not first.usable
    first.open()
    assert first.usable
    first.write(Draft(states={"db": {}}))
    assert second.open().states == {"db": {}}


@pytest.mark.parametrize("damage", [b"no database, only text " * 200, b""])
def test_a_damaged_file_is_refused_and_an_empty_one_is_made_anew(
    tmp_path: Path, clock: ManualClock, damage: bytes
) -> None:
    file = Shared(tmp_path / "workers.db", 0, "life", clock)
    file.path.write_bytes(damage)
    if damage:
        with pytest.raises(sqlite3.DatabaseError):
            file.open()
        file.remove()
    file.open()
    file.close()


def test_a_write_that_fails_tells_nothing(three: list[Shared], clock: ManualClock) -> None:
    first, second, _ = three
    first.write(Draft(asks={"one": (clock.time() + 5, "run db")}))
    with pytest.raises(sqlite3.IntegrityError):
        second.write(Draft(states={"db": {}}, asks={"one": (clock.time() + 5, "run api")}))
    assert first.read().states == {}
