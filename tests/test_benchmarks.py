"""The benchmarks still run, each for a moment on small numbers. What they measure people read, no test."""

from __future__ import annotations

import re
import sys

import pytest

from benchmarks.__main__ import BENCHMARKS, table
from benchmarks.agents import AgentProcess
from benchmarks.many import exporting, missed, python_checks
from benchmarks.measure import Row, Spread, percentile
from otelhealth.telemetry import names
from tests.pages import PAGES

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="CPU and PSS of another process are read from Linux")


@pytest.mark.parametrize("name", BENCHMARKS)
def test_a_benchmark_runs_and_gives_its_rows(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(BENCHMARKS[name](True))
    assert rows
    assert all(re.search(r"\d", row.measured) for row in rows)
    shown = _without_figures(PAGES["docs/figures.md"])
    assert [row for row in rows if _without_figures(f"| {row.work} | {row.at_most} | {row.aim} |") not in shown] == []
    assert "  " in capsys.readouterr().out


def _without_figures(text: str) -> str:
    return re.sub(r"\d[\d.,]*", "0", text)


def test_a_figure_of_an_agent_is_the_sum_of_a_metric_s_points() -> None:
    with AgentProcess(python_checks(3), None) as agent:
        assert agent.figure(names.STATUS) == 3  # each check has one state


def test_the_closing_table_is_markdown_and_marks_what_is_missed() -> None:
    kept, failed = Row("a", "1", "0.5", "0.7"), Row("b", "1", "", "1.2", missed=True)
    assert table([kept, failed]).splitlines()[2:] == ["| a | 1 | 0.5 | 0.7 |", "| b | 1 |  | 1.2 **missed** |"]


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile(list(range(1, 101)), 0.99) == 99
    assert percentile([7.0], 0.99) == 7.0


def test_a_ratio_is_that_of_the_pairs() -> None:
    assert Spread([2.0, 6.0, 4.0]).over(Spread([1.0, 2.0, 4.0])).text() == "2.00 (1.00..3.00)"


def test_requests_that_follow_each_other_are_one_export() -> None:
    assert exporting([10.0, 10.1, 10.2, 25.0]) == [(9.9, 10.2), (25.0, 25.0)]


def test_a_start_that_did_not_happen_is_missed() -> None:
    runs = [("a", 1.0, 0.0), ("a", 31.0, 0.0), ("b", 2.0, 0.0)]
    assert missed(runs, 3, 2) == 3
