from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.engine.state import CheckState
from otelhealth.model import Measurement, StateChange, Status
from tests.engine.samples import NOW, result, sample

LETTERS = {"p": Status.PASS, "w": Status.WARN, "f": Status.FAIL, "u": Status.UNKNOWN}


def state(**settings: Any) -> CheckState:
    return CheckState(sample(**settings), NOW)


def play(subject: CheckState, letters: str, start: float = NOW, every: float = 30.0) -> list[StateChange | None]:
    """Runs a second long, one every 30 s."""
    return [
        subject.apply(result(LETTERS[letter], started=start + number * every), start + number * every + 1)
        for number, letter in enumerate(letters)
    ]


def statuses(letters: str, **threshold: Any) -> str:
    """The state after each of the runs."""
    subject = state(threshold=threshold)
    found = []
    for number, letter in enumerate(letters):
        play(subject, letter, NOW + 30 * number)
        found.append(subject.status.value[0])
    return "".join(found)


@pytest.mark.parametrize(
    ("runs", "states", "threshold"),
    [
        ("p", "p", {}),
        ("w", "w", {}),
        ("u", "u", {}),
        ("pwp", "pwp", {}),
        ("pf", "pp", {}),
        ("pfff", "pppf", {}),
        ("wfff", "wwwf", {}),
        ("pffpff", "pppppp", {}),
        ("pffwff", "pppwww", {}),
        ("pffuf", "ppppf", {}),
        ("pu", "pp", {}),
        ("fff", "uuf", {}),
        ("ffp", "uup", {}),
        ("fuuff", "uuuuf", {}),
        ("f", "f", {"max_consecutive_failures": 1}),
        ("pf", "pf", {"max_consecutive_failures": 1}),
        ("fffp", "uufp", {}),
        ("fffpp", "uuffp", {"rise": 2}),
        ("fffpfpp", "uuffffp", {"rise": 2}),
        ("fffpwp", "uuffwp", {"rise": 2}),
        ("fffpup", "uufffp", {"rise": 2}),
        ("ppp", "ppp", {"rise": 3}),
    ],
)
def test_runs_make_a_state(runs: str, states: str, threshold: dict[str, Any]) -> None:
    assert statuses(runs, **threshold) == states


def test_below_the_threshold_the_record_shows_the_last_result_and_the_count_while_the_state_holds() -> None:
    subject = state()
    play(subject, "pff")
    record = subject.record(NOW + 70)
    assert (record["status"], record["last_result"], record["failure_count"]) == ("pass", "fail", 2)
    assert (record["message"], record["error_type"]) == ("it says fail", "refused")
    assert subject.undecided


@pytest.mark.parametrize(
    ("runs", "undecided"),
    [
        ("", False),
        ("p", False),
        ("f", True),
        ("pf", True),
        ("pff", True),
        ("pfff", False),
        ("pffp", False),
        ("pfu", False),
    ],
)
def test_a_check_is_undecided_while_failures_count_up(runs: str, undecided: bool) -> None:
    subject = state()
    play(subject, runs)
    assert subject.undecided is undecided


def test_a_check_is_undecided_while_successes_count_up() -> None:
    subject = state(threshold={"rise": 3})
    play(subject, "fffpp")
    assert subject.undecided
    play(subject, "p", NOW + 300)
    assert not subject.undecided


def test_a_change_carries_its_true_time_and_evidence() -> None:
    subject = state()
    changes = play(subject, "pfff")
    change = changes[-1]
    assert changes[:-1] == [StateChange("db", Status.UNKNOWN, Status.PASS, NOW, NOW + 1, "it says pass"), None, None]
    assert change is not None
    assert (change.previous, change.status) == (Status.PASS, Status.FAIL)
    assert (change.since, change.at) == (NOW + 30, NOW + 91)
    assert (change.message, change.error_type) == ("it says fail", "refused")
    assert subject.record(NOW + 91)["since"] == int(NOW + 30)


def test_a_recovery_is_true_since_the_first_success_of_its_streak() -> None:
    changes = play(state(threshold={"rise": 2}), "fffpp")
    assert changes[-1] is not None
    assert (changes[-1].since, changes[-1].at) == (NOW + 90, NOW + 121)


def test_a_warning_within_successes_is_true_since_its_own_run() -> None:
    changes = play(state(), "ppw")
    assert changes[-1] is not None
    assert changes[-1].since == NOW + 60


def test_a_failure_that_goes_on_after_a_silence_is_true_since_its_own_run() -> None:
    subject = state()
    play(subject, "fff")
    assert subject.expire(NOW + 1000) is not None
    (change,) = play(subject, "f", NOW + 2000)
    assert change is not None
    assert (change.previous, change.status, change.since) == (Status.UNKNOWN, Status.FAIL, NOW + 2000)


@pytest.mark.parametrize(
    ("runs", "status"),
    [
        ("p" * 17 + "fpf", "pass"),
        ("p" * 14 + "fpfpfp", "warn"),
        ("p" * 13 + "fpfpfp", "pass"),
        ("fpfpfp" + "p" * 14, "warn"),
        ("fpfpfp" + "p" * 15, "pass"),
        ("fpfpfpuuuuuuuu" + "p" * 13, "pass"),
    ],
)
def test_more_failures_than_the_rate_among_the_last_20_runs_warn(runs: str, status: str) -> None:
    subject = state()
    play(subject, runs)
    assert subject.status == status


def test_the_failure_rate_says_so() -> None:
    subject = state()
    changes = play(subject, "p" * 14 + "fpfpfp")
    warning = next(change for change in changes if change and change.status is Status.WARN)
    assert (warning.message, warning.error_type) == ("3 of the last 20 runs failed", "failure_rate")
    assert subject.record(NOW + 600)["message"] == "3 of the last 20 runs failed (it says pass)"


def test_flapping_is_shown_and_ends() -> None:
    subject = state(threshold={"max_failure_rate": "100%"})
    play(subject, "pfpfp")
    assert not subject.flapping
    play(subject, "fp", NOW + 150)
    assert subject.record(NOW + 300)["flapping"]
    play(subject, "p" * 15, NOW + 300)
    assert subject.flapping
    play(subject, "p" * 4, NOW + 750)
    assert not subject.flapping


def test_a_warning_counts_as_a_success_and_unknown_as_nothing() -> None:
    subject = state()
    play(subject, "ffw")
    assert (subject.failures, subject.last_success) == (0, NOW + 61)
    play(subject, "u", NOW + 90)
    record = subject.record(NOW + 91)
    assert (record["failure_count"], record["last_success"], record["last_failure"]) == (0, NOW + 61, NOW + 31)
    assert (record["last_result"], record["last_run"]) == ("unknown", NOW + 91)


@pytest.mark.parametrize(("grace", "after"), [(None, 90.0), ("10s", 40.0), ("0s", 30.0)])
def test_a_check_without_a_run_within_its_interval_and_grace_is_stale(grace: str | None, after: float) -> None:
    subject = state(grace=grace)
    play(subject, "p")
    finished = NOW + 1
    assert subject.expire(finished + after) is None
    change = subject.expire(finished + after + 5)
    assert change is not None
    assert (change.previous, change.status, change.error_type) == (Status.PASS, Status.UNKNOWN, "stale")
    assert (change.since, change.at) == (finished + after, finished + after + 5)
    record = subject.record(finished + after + 5)
    assert record["stale"]
    assert record["message"].startswith("no run has finished for")
    assert subject.expire(finished + after + 6) is None
    play(subject, "p", NOW + 1000)
    assert (subject.status, subject.overdue) == (Status.PASS, False)


def test_without_a_grace_of_its_own_a_check_is_not_stale_while_its_longest_run_may_still_go() -> None:
    subject = state(every="1s", timeout="10s", retries=1, retry_delay="2s")
    assert subject.horizon(NOW) == 1 + 2 * 10 + 2


def test_a_check_whose_runs_are_all_unknown_becomes_unknown_past_its_grace_without_being_stale() -> None:
    subject = state()
    play(subject, "puuuu")
    assert subject.status is Status.PASS
    change = subject.expire(NOW + 1 + 91)
    assert change is not None
    assert (change.status, change.error_type, change.message) == (Status.UNKNOWN, "refused", "it says unknown")
    assert not subject.record(NOW + 122)["stale"]


def test_a_check_that_never_ran_is_pending_and_past_its_grace_overdue() -> None:
    subject = state()
    assert subject.pending
    assert not subject.record(NOW + 89)["stale"]
    assert subject.expire(NOW + 91) is None
    assert (subject.pending, subject.overdue, subject.status) == (False, True, Status.UNKNOWN)
    record = subject.record(NOW + 91)
    assert (record["message"], record["since"], record["stale"]) == ("no run has finished yet", int(NOW + 90), True)


def test_a_first_failure_does_not_end_being_overdue() -> None:
    subject = state()
    subject.expire(NOW + 91)
    play(subject, "f", NOW + 100)
    assert not subject.pending


@pytest.mark.parametrize(("grace", "until"), [("1h", 3600.0), (None, 60.0)])
def test_a_cron_check_is_stale_past_its_next_due_time_and_grace(grace: str | None, until: float) -> None:
    midnight = NOW - NOW % 86400
    subject = CheckState(sample(cron="0 2 * * *", grace=grace), midnight)
    play(subject, "p", midnight + 2 * 3600)
    due = midnight + 26 * 3600
    assert subject.expire(due + until) is None
    assert subject.expire(due + until + 1) is not None


def test_a_disabled_check_is_never_stale() -> None:
    subject = state(enabled=False)
    assert subject.expire(NOW + 10_000) is None
    record = subject.record(NOW + 10_000)
    assert (record["enabled"], record["stale"], record["status"]) == (False, False, "unknown")


def test_a_wall_clock_that_is_set_makes_nothing_stale() -> None:
    subject = state()
    play(subject, "p")
    subject.shift(3600)
    assert subject.expire(NOW + 3600 + 60) is None
    assert subject.expire(NOW + 3600 + 92) is not None


def test_new_settings_keep_the_state_and_give_time() -> None:
    subject = state()
    play(subject, "pff")
    subject.replace(sample(every="10m", threshold={"max_consecutive_failures": 5}), NOW + 62)
    assert subject.expire(NOW + 1200) is None
    play(subject, "f", NOW + 1300)
    assert (subject.status, subject.failures) == (Status.PASS, 3)


def test_the_record_has_integers_where_clients_decode_integers() -> None:
    subject = state(groups=["ready"], tags=["shop"], tier=1)
    measured = (Measurement("utilization", 0.5, "1", (("mount", "/"),), Status.WARN),)
    subject.apply(
        result("fail", duration=1.2346, measurements=measured, details={"n": 1}, trace_id="ab" * 16), NOW + 1.5
    )
    record = subject.record(NOW + 4)
    for key in ("duration_ms", "last_failure", "last_run", "failure_count", "error_count_24h", "tier"):
        assert type(record[key]) is int, key
    assert record["duration_ms"] == 1235
    assert record["threshold"] == {
        "max_response_time_ms": 5000,
        "max_failure_rate": 0.1,
        "max_consecutive_failures": 3,
    }
    assert record["measurements"] == {"utilization[/]": {"value": 0.5, "unit": "1", "status": "warn"}}
    assert (record["last_success"], record["seconds_since_last"]) == (None, 2.5)
    assert (record["success_rate_7d"], record["error_count_24h"]) == (0.0, 1)
    assert record["avg_response_time_1h"] == pytest.approx(1234.6, rel=1e-4)
    json.dumps(record)


def test_a_record_of_a_check_that_never_ran_has_no_figures_and_no_nulls_in_lists() -> None:
    record = state().record(NOW)
    assert (record["success_rate_7d"], record["avg_response_time_1h"], record["error_count_24h"]) == (None, None, 0)
    assert (record["measurements"], record["details"], record["log"], record["groups"]) == ({}, {}, [], [])


@given(st.text(alphabet="pwfu", max_size=60), st.integers(1, 4), st.integers(1, 3))
def test_a_snapshot_restores_the_same_state(runs: str, most: int, rise: int) -> None:
    threshold = {"max_consecutive_failures": most, "rise": rise}
    one = state(threshold=threshold)
    play(one, runs)
    now = NOW + 3600
    two = CheckState(sample(threshold=threshold), now)
    two.restore(json.loads(json.dumps(one.snapshot(now))), now)
    assert not two.ran
    for letter in "pffffpppw":
        assert play(one, letter, now) == play(two, letter, now)
    assert one.record(now) == two.record(now)


@pytest.mark.parametrize("broken", [{}, {"status": "fine"}, {"status": "pass", "last": 3}, [], None])
def test_a_broken_snapshot_is_refused_and_leaves_the_state(broken: Any) -> None:
    subject = state()
    with pytest.raises(ValueError, match=r"snapshot|fine"):
        subject.restore(broken, NOW)
    assert subject.status is Status.UNKNOWN


def test_a_snapshot_is_due_when_something_happened_or_five_minutes_went_by() -> None:
    subject = state()
    play(subject, "p")
    assert subject.snapshot_due(NOW)
    subject.snapshot(NOW)
    play(subject, "p", NOW + 30)
    assert not subject.snapshot_due(NOW + 31)
    assert subject.snapshot_due(NOW + 301)
    for letter, due in (("f", True), ("f", True), ("f", True), ("f", False), ("p", True)):
        play(subject, letter, NOW + 60)
        assert subject.snapshot_due(NOW + 61) is due
        subject.snapshot(NOW + 61)


@given(st.text(alphabet="pwfu", max_size=100), st.integers(1, 5), st.integers(1, 4), st.floats(0, 1))
def test_whatever_runs_come_the_state_keeps_its_promises(runs: str, most: int, rise: int, rate: float) -> None:
    subject = state(threshold={"max_consecutive_failures": most, "rise": rise, "max_failure_rate": rate})
    failures = 0
    for number, letter in enumerate(runs):
        before = subject.status
        (change,) = play(subject, letter, NOW + 30 * number)
        failures = failures + 1 if letter == "f" else failures if letter == "u" else 0
        assert subject.failures == failures
        assert (change is not None) == (subject.status is not before)
        if change:
            assert change.previous is before
            assert change.status is subject.status
            assert change.since <= NOW + 30 * number < change.at
        if letter == "u":
            assert subject.status is before
        if letter == "f" and failures >= most:
            assert subject.status is Status.FAIL
        if letter == "f" and failures < most:
            assert subject.status in (before, Status.WARN)
        if letter in "pw" and rise == 1:
            assert subject.status is not Status.FAIL
        if letter == "w" and before is not Status.FAIL:
            assert subject.status is Status.WARN
        assert subject.status is not Status.UNKNOWN or not set(runs[: number + 1]) & {"p", "w"}


@pytest.mark.parametrize("letters", ["", "p", "pfff", "pwfpfpfpf", "u", "pu"])
def test_a_state_in_another_process_is_mirrored_whole(letters: str) -> None:
    subject, mirror = state(), state()
    play(subject, letters)
    now = NOW + 30 * len(letters)
    mirror.mirror(json.loads(json.dumps(subject.dump())), now + 5)
    for later in (now, now + 60, now + 1000):
        assert mirror.record(later) == subject.record(later)
        assert mirror.expire(later) == subject.expire(later)
        assert (mirror.overdue, mirror.pending, mirror.ran) == (subject.overdue, subject.pending, subject.ran)
    assert (mirror.due(), mirror.undecided) == (subject.due(), subject.undecided)


def test_the_next_run_is_due_an_interval_after_the_last_or_at_the_next_time_of_the_cron() -> None:
    assert state().due() is None
    subject = state(every="45s")
    play(subject, "p")
    assert subject.due() == NOW + 46
    hourly = state(cron="0 * * * *")
    play(hourly, "p")
    assert hourly.due() == (NOW // 3600 + 1) * 3600


def test_what_is_told_of_a_state_has_the_labels_and_the_log_of_its_last_run() -> None:
    subject, mirror = state(), state()
    level = Measurement("level", 0.5, "1", (("shelf", "top"),), Status.WARN, "the top")
    subject.apply(result("pass", measurements=(level,), log=("counted",)), NOW)
    mirror.mirror(json.loads(json.dumps(subject.dump())), NOW)
    assert mirror.last == subject.last
