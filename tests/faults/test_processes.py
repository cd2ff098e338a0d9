"""Rows R2, R3 and R5 of the fault table: processes that end, are killed, lose their disk, their clock, their file."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.faults.figures import ENDED, PER_SECOND, Figures
from tests.faults.scenarios import SLOW, Runs, at_once, scenarios
from tests.faults.scripted import arrived

Put = Callable[[Figures], Figures]
pytestmark = pytest.mark.faults
DISTURBED = ("disk-full", "read-only", "corrupted", "clock-forward", "clock-back", "fork", "two-agents")
LAST_SECOND = 3.0  # s of what was made last that a kill may cost, with the time that a busy machine adds


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, outage: float) -> Iterator[Runs]:
    with at_once(scenarios(), tmp_path_factory, outage) as found:
        yield found


@pytest.mark.parametrize("fault", ["hangs", "trickles"])
def test_a_process_ends_within_5_s_whatever_the_collector_does_and_nothing_is_lost(
    runs: Runs, row: Put, fault: str
) -> None:
    found = row(runs[f"{fault}-spool"][1].result())
    assert (found.lost_spans, found.lost_logs, found.lost_points) == (0, 0, 0)
    assert found.ended < ENDED
    control = row(runs[f"{fault}-plain"][1].result())
    assert control.ended > ENDED
    assert control.lost > 0


def test_a_kill_in_an_outage_costs_at_most_the_last_second(runs: Runs, row: Put) -> None:
    place, run = runs["killed-spool"]
    found = row(run.result())
    assert max(found.lost_spans, found.lost_logs) <= LAST_SECOND * PER_SECOND
    assert found.lost_points <= 1  # the collection that was going on
    assert len({start for start, _ in arrived(place.receiver, "load").collections}) == 2  # counters begin anew
    control = row(runs["killed-plain"][1].result())
    assert control.lost_spans > 10 * PER_SECOND


@pytest.mark.parametrize("fault", DISTURBED)
def test_the_plain_exporter_loses_in_each_of_the_rows_below(runs: Runs, row: Put, outage: float, fault: str) -> None:
    control = row(runs[f"{fault}-plain"][1].result())
    assert min(control.lost_spans, control.lost_logs) > SLOW * outage / 4


@pytest.mark.parametrize("fault", ["disk-full", "read-only"])
def test_a_disk_that_refuses_costs_nothing_and_is_said(runs: Runs, row: Put, fault: str) -> None:
    found = row(runs[f"{fault}-spool"][1].result())
    assert max(found.lost_spans, found.lost_logs) <= LAST_SECOND * SLOW
    assert found.lost_points <= 1
    assert "the spool cannot use its disk (" in found.said
    assert "the spool can use its disk again" in found.said


def test_a_spoilt_file_is_set_aside_said_and_costs_only_what_was_in_it(runs: Runs, row: Put) -> None:
    place, run = runs["corrupted-spool"]
    found = row(run.result())
    assert (found.lost_spans, found.lost_logs) == (0, 0)
    assert "is damaged (file is not a database); it is now " in found.said
    assert list(place.folder.glob("spool.db.damaged-*"))


@pytest.mark.parametrize("fault", ["clock-forward", "clock-back"])
def test_a_clock_that_jumps_costs_nothing(runs: Runs, row: Put, fault: str) -> None:
    found = row(runs[f"{fault}-spool"][1].result())
    assert max(found.lost_spans, found.lost_logs) <= LAST_SECOND * SLOW
    assert "is dropped" not in found.said


def test_a_forked_child_delivers_its_own_and_nothing_twice(runs: Runs, row: Put) -> None:
    place, run = runs["fork-spool"]
    found = row(run.result())
    assert (found.lost_spans, found.lost_logs, found.duplicates) == (0, 0, 0)
    assert found.ended < ENDED
    came = arrived(place.receiver, "load")
    children = {name: count for name, count in came.logs.items() if name.startswith("child-")}
    assert (len(children), set(children.values())) == (100, {1})
    assert children.keys() <= came.spans.keys()


def test_two_agents_on_one_file_both_deliver(runs: Runs, row: Put) -> None:
    found = row(runs["two-agents-spool"][1].result())
    assert max(found.lost_spans, found.lost_logs) <= 2 * LAST_SECOND * SLOW
    assert "requests that a dead process left are sent first" in found.said
