from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.engine.rollup import HOUR, Rollup

NOW = 1_700_000_000.0
DAY, WEEK = 24 * HOUR, 168 * HOUR


def test_without_runs_there_are_no_figures() -> None:
    rollup = Rollup()
    assert (rollup.success_rate_7d(NOW), rollup.average_1h(NOW), rollup.errors_24h(NOW)) == (None, None, 0)


def test_figures_cover_their_window_and_no_more() -> None:
    rollup = Rollup()
    rollup.add(NOW, ok=True, duration=1.0)
    rollup.add(NOW, ok=False, duration=3.0)
    assert (rollup.success_rate_7d(NOW), rollup.average_1h(NOW), rollup.errors_24h(NOW)) == (0.5, 2.0, 1)
    assert rollup.average_1h(NOW + HOUR - 300) == 2.0
    assert rollup.average_1h(NOW + HOUR) is None
    assert rollup.errors_24h(NOW + DAY - 300) == 1
    assert rollup.errors_24h(NOW + DAY) == 0
    assert rollup.success_rate_7d(NOW + WEEK - HOUR) == 0.5
    assert rollup.success_rate_7d(NOW + WEEK) is None


def test_a_clock_that_goes_back_loses_nothing() -> None:
    rollup = Rollup()
    rollup.add(NOW, ok=False, duration=1.0)
    rollup.add(NOW - 7200, ok=False, duration=1.0)
    assert rollup.errors_24h(NOW - 7200) == 2


def test_counters_do_not_overflow() -> None:
    rollup = Rollup()
    for _ in range(70_000):
        rollup.add(NOW, ok=False, duration=0.001)
    assert rollup.errors_24h(NOW) == 65535


def test_what_was_dumped_is_loaded_and_other_things_are_refused() -> None:
    rollup = Rollup()
    rollup.add(NOW, ok=False, duration=1.0)
    data = rollup.dump()
    assert Rollup.load(data).dump() == data
    for broken in (data | {"hours": "x"}, data | {"hours": data["recent"]}, data | {"hour": "x"}):
        with pytest.raises(ValueError, match=r"counters|invalid|base85"):
            Rollup.load(broken)


@given(st.lists(st.tuples(st.integers(0, int(2 * WEEK)), st.booleans()), min_size=1, max_size=50))
def test_the_windows_agree_with_counting_exactly_but_for_one_slot(runs: list[tuple[int, bool]]) -> None:
    rollup = Rollup()
    runs.sort()
    for at, ok in runs:
        rollup.add(NOW + at, ok, 1.0)
    now = NOW + runs[-1][0]
    errors = [NOW + at for at, ok in runs if not ok]
    assert sum(at > now - DAY + 300 for at in errors) <= rollup.errors_24h(now) <= sum(at > now - DAY for at in errors)
