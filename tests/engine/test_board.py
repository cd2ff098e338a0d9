from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from otelhealth.engine.aggregate import StatusSettings
from otelhealth.engine.board import Board
from otelhealth.engine.state import CheckState
from otelhealth.model import Status
from tests.engine.samples import NOW, result, sample

PASS, WARN, FAIL, UNKNOWN = Status


def board(**settings: Any) -> Board:
    return Board(StatusSettings.model_validate(settings))


def put(subject: Board, name: str, *statuses: Status, at: float = NOW, **settings: Any) -> CheckState:
    """A check that one failure brings down, with its runs so far."""
    state = subject.put(sample(name, threshold={"max_consecutive_failures": 1}, **settings), NOW)
    for status in statuses:
        state.apply(result(status, name=name, message=f"{name} is {status}"), at)
        subject.touch(name)
    return state


def test_a_service_without_checks_is_healthy() -> None:
    view = board().view()
    assert (view.status, view.score, view.healthy, view.total, view.starting) == ("healthy", 100.0, 0, 0, False)


@pytest.mark.parametrize(
    ("tier", "status", "service"),
    [
        *((tier, PASS, "healthy") for tier in (1, 2, 3, 4)),
        *((tier, WARN, "degraded") for tier in (1, 2, 3, 4)),
        (1, FAIL, "critical"),
        (2, FAIL, "unhealthy"),
        (3, FAIL, "degraded"),
        (4, FAIL, "degraded"),
    ],
)
def test_the_tier_of_a_check_says_what_it_makes_of_the_service(tier: int, status: Status, service: str) -> None:
    subject = board()
    put(subject, "fine", PASS, tier=1)
    put(subject, "db", status, tier=tier)
    assert subject.view().status == service


@pytest.mark.parametrize(("tier", "service"), [(1, "critical"), (2, "degraded"), (3, "degraded"), (4, "degraded")])
def test_a_check_unknown_past_its_grace_is_never_healthy(tier: int, service: str) -> None:
    subject = board(tiers={4: "healthy"})
    put(subject, "db", tier=tier)
    assert subject.sweep(NOW + 80) == []
    assert subject.view().status == "healthy"
    subject.sweep(NOW + 91)
    assert subject.view().status == service
    assert subject.summary() == {"healthy": 0, "total": 1, "errors": ["db: no run has finished yet"]}
    put(subject, "db", PASS, tier=tier)
    assert subject.view().status == "healthy"


def test_a_stale_check_is_swept_each_time_it_goes_stale() -> None:
    subject = board()
    state = put(subject, "db", PASS)
    for start in (NOW, NOW + 1000, NOW + 2000):
        state.apply(result(PASS), start)
        subject.touch("db")
        assert subject.sweep(start + 89) == []
        assert [change.status for change in subject.sweep(start + 91)] == [UNKNOWN]
        assert subject.view().status == "degraded"


def test_a_user_says_what_a_tier_means() -> None:
    subject = board(tiers={2: "degraded", 4: "healthy"})
    put(subject, "four", FAIL, tier=4)
    assert subject.view().status == "healthy"
    put(subject, "two", FAIL, tier=2)
    assert subject.view().status == "degraded"
    put(subject, "one", FAIL, tier=1)
    assert subject.view().status == "critical"


def test_a_tier_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError, match="there is no tier 5; tiers are 1 to 4"):
        StatusSettings.model_validate({"tiers": {5: "critical"}})


@pytest.mark.parametrize(
    ("statuses", "service"),
    [
        ([PASS, PASS, PASS], "healthy"),
        ([PASS, PASS, WARN], "degraded"),
        ([PASS, PASS, FAIL], "degraded"),
        ([PASS, FAIL], "unhealthy"),
        ([PASS, FAIL, FAIL], "unhealthy"),
        ([FAIL, FAIL], "critical"),
        ([], "healthy"),
    ],
)
def test_by_majority_most_checks_must_hold(statuses: list[Status], service: str) -> None:
    subject = board(policy="majority")
    for number, status in enumerate(statuses):
        put(subject, f"c{number}", status, tier=1)
    put(subject, "yet-to-run")
    assert subject.view().status == service


def test_the_score_weighs_by_tier_and_leaves_out_what_is_yet_to_run() -> None:
    subject = board()
    put(subject, "one", PASS, tier=1)
    put(subject, "two", WARN, tier=2)
    put(subject, "three", FAIL, tier=3)
    put(subject, "four", tier=4)
    assert subject.view().score == pytest.approx(100 * (8 + 2) / 14)
    subject.sweep(NOW + 91)
    assert subject.view().score == pytest.approx(100 * 0 / 15)


def test_the_summary_names_what_fails() -> None:
    subject = board()
    put(subject, "a", PASS)
    put(subject, "b", WARN)
    put(subject, "c", FAIL)
    put(subject, "d", FAIL, enabled=False)
    put(subject, "e")
    assert subject.summary() == {"healthy": 2, "total": 4, "errors": ["c: c is fail"]}


def test_a_disabled_check_is_never_counted() -> None:
    subject = board()
    put(subject, "db", enabled=False, tier=1, groups=["ready"])
    subject.sweep(NOW + 10_000)
    view = subject.view()
    assert (view.status, view.total, view.score) == ("healthy", 0, 100.0)
    assert list(subject.members("ready")) == []


def test_the_service_starts_until_the_startup_checks_have_passed_in_this_process() -> None:
    subject = board()
    kept = put(Board(), "db", PASS).snapshot(NOW)
    state = put(subject, "db", groups=["startup"])
    state.restore(kept, NOW)
    subject.touch("db")
    view = subject.view()
    assert (view.status, view.starting) == ("unhealthy", True)
    state.apply(result(PASS), NOW)
    subject.touch("db")
    assert (subject.view().status, subject.starting) == ("healthy", False)
    put(subject, "later", FAIL, groups=["startup"], tier=3)
    assert (subject.view().status, subject.starting) == ("degraded", False)


def test_a_draining_service_is_unhealthy() -> None:
    subject = board()
    put(subject, "db", PASS)
    before = subject.revision
    assert subject.view().status == "healthy"
    subject.drain()
    assert (subject.view().status, subject.view().draining) == ("unhealthy", True)
    assert subject.revision > before


@pytest.mark.parametrize(
    ("rule", "good", "bad", "holds"),
    [
        (None, 3, 0, True),
        (None, 2, 1, False),
        ("all", 2, 1, False),
        ("any", 1, 2, True),
        ("any", 0, 3, False),
        (2, 2, 1, True),
        (2, 1, 2, False),
        (5, 3, 0, True),
        (5, 2, 1, False),
    ],
)
def test_a_group_holds_by_its_rule(rule: Any, good: int, bad: int, holds: bool) -> None:
    subject = board(groups={} if rule is None else {"replicas": rule})
    for number in range(good + bad):
        put(subject, f"r{number}", PASS if number < good else FAIL, groups=["replicas"])
    assert subject.groups() == {"replicas": holds}
    assert sorted(subject.members("replicas")) == [f"r{number}" for number in range(good + bad)]


def test_a_group_without_checks_holds() -> None:
    assert board(groups={"none": "any"}).holds("none")


def test_while_a_group_can_do_without_a_failing_member_the_service_is_degraded_at_most() -> None:
    subject = board(groups={"replicas": "any"})
    put(subject, "a", PASS, groups=["replicas"], tier=1)
    put(subject, "b", FAIL, groups=["replicas", "ready"], tier=1)
    assert subject.view().status == "degraded"
    put(subject, "a", FAIL, groups=["replicas"], tier=1)
    assert subject.view().status == "critical"
    subject.configure(StatusSettings())
    put(subject, "a", PASS, groups=["replicas"], tier=1)
    assert subject.view().status == "critical"


def test_a_failed_parent_explains_its_children_whose_state_still_shows() -> None:
    subject = board()
    put(subject, "network", FAIL)
    put(subject, "db", FAIL, depends_on=["network"])
    put(subject, "api", FAIL, depends_on=["cache", "db"])
    put(subject, "cache", PASS, depends_on=["network"])
    record = subject.record("api", NOW)
    assert record is not None
    assert (record["status"], record["explained_by"]) == ("fail", "network")
    assert [subject.explained_by(name) for name in ("network", "db", "cache", "strange")] == [
        None,
        "network",
        None,
        None,
    ]
    put(subject, "network", PASS)
    assert subject.explained_by("api") == "db"


def test_dependencies_in_a_circle_or_on_nothing_do_no_harm() -> None:
    subject = board()
    put(subject, "a", FAIL, depends_on=["b", "gone"])
    put(subject, "b", FAIL, depends_on=["a"])
    assert (subject.explained_by("a"), subject.explained_by("b")) == ("b", "a")


def test_checks_in_maintenance_do_not_count_while_it_lasts() -> None:
    window = {"name": "move", "start": "2023-11-14T22:13:20Z", "for": "1h", "checks": ["db"]}
    subject = board(maintenance=[window])
    put(subject, "db", FAIL, tier=1, every="10h")
    put(subject, "api", PASS, every="10h")
    assert subject.view().status == "critical"
    subject.sweep(NOW + 1)
    assert (subject.view().status, subject.view().total) == ("healthy", 1)
    assert subject.summary()["errors"] == []
    record = subject.record("db", NOW + 1)
    assert record is not None
    assert (record["maintenance"], record["status"]) == (True, "fail")
    subject.configure(StatusSettings.model_validate({"maintenance": [window | {"checks": "all"}]}))
    assert (subject.view().status, subject.view().total) == ("healthy", 0)
    subject.sweep(NOW + 3600)
    assert subject.view().status == "critical"


def test_a_dropped_check_counts_no_more() -> None:
    subject = board()
    put(subject, "db", FAIL, tier=1, groups=["ready"])
    subject.drop("db")
    subject.drop("db")
    assert (subject.view().status, subject.groups(), subject.record("db", NOW)) == ("healthy", {}, None)


def test_new_settings_of_a_check_keep_its_state_and_move_its_groups() -> None:
    subject = board()
    put(subject, "db", FAIL, tier=3, groups=["ready"])
    put(subject, "db", tier=1, groups=["own"])
    assert (subject.view().status, subject.groups()) == ("critical", {"own": False})


def test_the_revision_grows_only_when_an_answer_changes() -> None:
    subject = board()
    state = put(subject, "db", PASS, groups=["startup", "ready"])
    subject.view()
    before = subject.revision
    for _ in range(3):
        state.apply(result(PASS), NOW)
        subject.touch("db")
        subject.sweep(NOW + 1)
    assert subject.revision == before
    state.apply(result(WARN), NOW)
    subject.touch("db")
    assert subject.revision > before


def test_a_clock_that_is_set_makes_nothing_stale() -> None:
    subject = board()
    put(subject, "db", PASS)
    subject.shift(3600)
    assert subject.sweep(NOW + 3660) == []


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d"]), st.sampled_from([PASS, WARN, FAIL, UNKNOWN, None]), st.integers(0, 60)
    ),
    max_size=40,
)
SETTINGS: dict[str, dict[str, Any]] = {
    "a": {"tier": 1},
    "b": {"tier": 2, "groups": ["g"]},
    "c": {"tier": 1, "groups": ["g"]},
    "d": {"tier": 4},
}


@given(STEPS, st.sampled_from(["tiers", "majority"]), st.sampled_from(["all", "any", 1]))
def test_what_is_kept_up_to_date_equals_what_is_counted_anew(
    steps: list[tuple[str, Status | None, int]], policy: str, rule: Any
) -> None:
    settings: dict[str, Any] = {"policy": policy, "groups": {"g": rule}}
    subject, now = board(**settings), NOW
    for name, status, seconds in steps:
        now += seconds
        if status is None and name in subject.states:
            subject.drop(name)
        elif status is not None:
            state = subject.states.get(name) or subject.put(sample(name, **SETTINGS[name]), now)
            state.apply(result(status, name=name, started=now), now)
            subject.touch(name)
        subject.sweep(now)
        fresh = board(**settings)
        for state in subject:
            fresh.states[state.name] = state
            fresh.put(state.check, now - 1000)
        fresh.sweep(now)
        subject.view()
        assert (subject.view().status, subject.view().total) == (fresh.view().status, fresh.view().total)
        assert subject.view().score == pytest.approx(fresh.view().score)
        assert subject.groups() == fresh.groups()
        assert sorted(subject.summary()["errors"]) == sorted(fresh.summary()["errors"])


def test_a_reader_is_told_which_checks_were_touched() -> None:
    subject = board()
    subject.put(sample("db"), NOW)
    subject.touched = set()
    subject.put(sample("api"), NOW)
    subject.states["db"].apply(result("pass"), NOW)
    subject.touch("db")
    assert subject.touched == {"api", "db"}
    subject.touched = set()
    subject.drop("api")
    assert subject.touched == {"api"}
    subject.touched = set()
    subject.shift(60)
    assert subject.touched == {"db"}
    subject.touched = set()
    subject.sweep(NOW + 1000)
    assert subject.touched == {"db"}
