from __future__ import annotations

from typing import ClassVar, Literal

import pytest
from pydantic import ValidationError

from otelhealth.checks.base import Check, Quantity
from otelhealth.checks.registry import all_kinds, kind_of
from otelhealth.settings import Settings


class Pressure(Check):
    kind: Literal["pressure"] = "pressure"
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("height", "m", "gauge", "How high.", "otelhealth.pressure.height"),
    )


def sentences(error: ValidationError) -> str:
    return "; ".join(problem["msg"] for problem in error.errors())


def test_a_check_runs_every_30_seconds_with_a_deadline_of_10_unless_told() -> None:
    check = Pressure(name="p")
    assert (check.every, check.timeout, check.tier, check.retries, check.grace) == (30.0, 10.0, 2, 0, None)
    assert (check.threshold.max_consecutive_failures, check.threshold.rise) == (3, 1)


def test_a_bare_number_is_no_duration() -> None:
    with pytest.raises(ValidationError) as caught:
        Pressure.model_validate({"every": 30})
    assert "a duration needs a unit; write 30s or 30m" in sentences(caught.value)


def test_only_in_process_kinds_join_live() -> None:
    with pytest.raises(ValidationError) as caught:
        Pressure(groups=("live",))
    assert "cannot join `live`; use `ready`" in sentences(caught.value)


def test_a_level_of_an_unknown_measurement_names_those_there_are() -> None:
    with pytest.raises(ValidationError) as caught:
        Pressure.model_validate({"levels": {"hight": {"warn": "> 3"}}})
    assert "hight: pressure has no such measurement; did you mean height?" in sentences(caught.value)


@pytest.mark.parametrize(("text", "good"), [("> 3", True), ("> 3s", False), ("> 3%", False), ("> 3MB", False)])
def test_a_level_is_written_in_the_unit_of_its_measurement(text: str, good: bool) -> None:
    settings = {"levels": {"height": {"warn": text}}}
    if good:
        assert Pressure.model_validate(settings)
        return
    with pytest.raises(ValidationError) as caught:
        Pressure.model_validate(settings)
    assert f"height: it is counted in m, not as in {text!r}; write a plain number" in sentences(caught.value)


@pytest.mark.parametrize(("cron", "zone"), [("61 * * * *", "UTC"), ("* * *", "UTC"), ("0 2 * * *", "Europe/Pariss")])
def test_a_bad_cron_or_zone_is_refused(cron: str, zone: str) -> None:
    with pytest.raises(ValidationError):
        Pressure(cron=cron, timezone=zone)


def test_checks_share_their_default_threshold_since_there_may_be_ten_thousand() -> None:
    assert Pressure(name="a").threshold is Pressure(name="b").threshold


def test_settings_cannot_be_changed_nor_take_unknown_keys() -> None:
    check: Settings = Pressure(name="p")
    with pytest.raises(ValidationError):
        check.name = "q"  # type: ignore[attr-defined]  # the point of the test
    with pytest.raises(ValidationError):
        Pressure.model_validate({"evry": "30s"})


def test_the_registry_knows_each_kind_by_the_word_of_its_file() -> None:
    assert all(kind_of(check) == kind for kind, check in all_kinds().items())
    assert list(all_kinds()) == sorted(all_kinds())
