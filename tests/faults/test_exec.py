"""Rows R2 and R3 of the fault table for a command below `otelhealth exec`, and for the same one without it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.faults.figures import ENDED, Figures
from tests.faults.scenarios import Runs, at_once, below_exec

Put = Callable[[Figures], Figures]
pytestmark = pytest.mark.faults


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, outage: float) -> Iterator[Runs]:
    with at_once(below_exec(), tmp_path_factory, outage) as found:
        yield found


@pytest.mark.parametrize("fault", ["hangs", "trickles", "killed"])
def test_it_ends_within_5_s_of_its_command_and_nothing_of_that_is_lost(runs: Runs, row: Put, fault: str) -> None:
    found = row(runs[fault][1].result())
    assert (found.lost_spans, found.lost_logs, found.lost_points) == (0, 0, 0)
    assert found.ended < ENDED


@pytest.mark.parametrize("fault", ["hangs", "down"])
def test_the_same_command_alone_loses(runs: Runs, row: Put, fault: str) -> None:
    assert row(runs[f"{fault}-alone"][1].result()).lost_spans > 0
