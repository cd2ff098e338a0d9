from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from otelhealth.supervise.restarts import Policy, Restarts, Rules

seconds = st.floats(0.01, 3600)


def test_the_back_off_doubles_up_to_its_limit_and_begins_anew_after_a_steady_run() -> None:
    restarts = Restarts(Rules("always", backoff=1.0, max_backoff=5.0, steady=60.0))
    assert [restarts.pause(1, 0.1) for _ in range(4)] == [1.0, 2.0, 4.0, 5.0]
    assert restarts.pause(1, 60.0) == 1.0
    assert restarts.count == 5


def test_never_means_never_and_success_is_no_failure() -> None:
    assert Restarts(Rules("never")).pause(1, 0.0) is None
    assert Restarts(Rules("on-failure")).pause(0, 0.0) is None
    assert Restarts(Rules("on-failure")).pause(1, 0.0) is not None


def test_so_many_in_a_row_and_no_more_but_a_steady_run_begins_a_new_row() -> None:
    restarts = Restarts(Rules("always", most=2, steady=60.0))
    assert [restarts.pause(0, 1.0) is None for _ in range(3)] == [False, False, True]
    assert restarts.pause(0, 61.0) is not None


@given(
    policy=st.sampled_from(("on-failure", "always")),
    backoff=seconds,
    limit=seconds,
    most=st.none() | st.integers(0, 5),
    ends=st.lists(st.tuples(st.integers(0, 255), st.floats(0, 1e6)), max_size=200),
)
def test_a_pause_stays_within_its_bounds_and_the_row_within_its_length(
    policy: Policy, backoff: float, limit: float, most: int | None, ends: list[tuple[int, float]]
) -> None:
    restarts, row = Restarts(Rules(policy, backoff, limit, most)), 0
    for code, lasted in ends:
        pause = restarts.pause(code, lasted)
        if lasted >= 60.0 and (policy == "always" or code):
            row = 0
        if pause is None:
            assert (policy == "on-failure" and code == 0) or row == most
        else:
            row += 1
            assert min(backoff, limit) <= pause <= limit
            assert most is None or row <= most
