from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.checks.base import failed, passed, warned
from otelhealth.checks.levels import Level, LevelJudge, Levels, Range
from otelhealth.model import CheckResult, Measurement, Status


def levels_of(ranges: dict[str, dict[str, str]]) -> Levels:
    return {name: Level.model_validate(each) for name, each in ranges.items()}


def judge(levels: dict[str, dict[str, str]], result: CheckResult, duration: float = 0.0) -> CheckResult:
    return LevelJudge(levels_of(levels), {}).judge(result, duration)


USED = Measurement("utilization", 0.91, "1", (("system.filesystem.mountpoint", "/var"),))


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("> 85%", 0.86, True),
        ("> 85%", 0.85, False),
        (">= 85%", 0.85, True),
        ("< 200MB", 199e6, True),
        ("<= 1s", 1.0, True),
        ("> 500ms", 0.4, False),
        ("== 0", 0, True),
        ("!= 0", 0, False),
        (">1", 2, True),
        ("< -3", -4, True),
    ],
)
def test_a_range_compares_numbers_shares_durations_and_sizes(text: str, value: float, holds: bool) -> None:
    assert Range.parse(text).holds(value) is holds


@pytest.mark.parametrize("text", ["85%", "> ", "> fast", "=> 3", "", None, 5, "> 3 and < 4", "> nan"])
def test_what_is_not_a_range_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match="is not a range; write one such as '> 85%'"):
        Range.parse(text)


def test_the_worst_measurement_decides_and_the_sentence_names_it() -> None:
    result = judge({"utilization": {"warn": "> 85%", "fail": "> 95%"}}, passed("3 mounts", USED))
    assert result.status is Status.WARN
    assert result.message == "utilization[/var] is 91%, warn at > 85% (3 mounts)"
    assert result.measurements[0].status is Status.WARN
    assert result.error_type == "level_exceeded"


def test_a_level_never_makes_a_result_better() -> None:
    result = judge({"utilization": {"warn": "> 99%"}}, warned("slow", "slow", USED))
    assert (result.status, result.message, result.error_type) == (Status.WARN, "slow", "slow")


def test_the_duration_is_a_measurement_of_every_kind() -> None:
    result = judge({"duration": {"warn": "> 1s", "fail": "> 3s"}}, passed("ok"), duration=3.5)
    assert (result.status, result.message) == (Status.FAIL, "duration is 3.5s, fail at > 3s (ok)")


def test_a_users_level_replaces_the_default_of_that_measurement_only() -> None:
    defaults = {"a": {"warn": "> 1"}, "b": {"warn": "> 1"}}
    user = levels_of({"a": {"fail": "> 5"}})
    readings = passed("", Measurement("a", 3, ""), Measurement("b", 3, ""))
    result = LevelJudge(user, defaults).judge(readings, 0)
    assert [m.status for m in result.measurements] == [Status.PASS, Status.WARN]


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_more_and_at_most_exclude_each_other(value: float, bound: float) -> None:
    assert Range.parse(f"> {bound!r}").holds(value) is not Range.parse(f"<= {bound!r}").holds(value)


def test_a_level_for_one_mount_goes_before_the_level_for_all_mounts() -> None:
    levels = {"utilization": {"warn": "> 85%"}, "utilization[/var]": {"fail": "> 90%"}}
    other = Measurement("utilization", 0.88, "1", (("system.filesystem.mountpoint", "/"),))
    judged = judge(levels, passed("", USED, other))
    assert [measurement.status for measurement in judged.measurements] == [Status.FAIL, Status.WARN]
    assert judged.message == "utilization[/var] is 91%, fail at > 90%"


OWN = levels_of({"rows": {"fail": "> 5"}, "duration": {"warn": "> 1s"}, "age": {"warn": "> 1"}})


@pytest.mark.parametrize(
    ("result", "status", "message"),
    [
        (passed("ok", Measurement("rows", 1, "")), Status.PASS, "ok"),
        (passed("ok", Measurement("rowz", 9, "")), Status.UNKNOWN, "there is no rows to be judged by its level (ok)"),
        (
            passed("ok", Measurement("rows", float("nan"), "")),
            Status.UNKNOWN,
            "rows is no number, and has a level (ok)",
        ),
        (passed("ok", Measurement("rows", float("inf"), "")), Status.FAIL, "rows is inf, fail at > 5 (ok)"),
        (failed("broken", "broken"), Status.FAIL, "broken"),
    ],
)
def test_a_level_of_a_users_own_figure_that_cannot_be_judged_is_unknown(
    result: CheckResult, status: Status, message: str
) -> None:
    judged = LevelJudge(OWN, {}, {"age"}).judge(result, 0.1)
    assert (judged.status, judged.message) == (status, message)
