"""Whatever a user's function returns can be told by state, store, OTLP, JSON and `/metrics`, or is said to be none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.engine.sound import sound
from otelhealth.model import CheckResult, Measurement, Status

_scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=9)
_values = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def result(**told: Any) -> CheckResult:
    return CheckResult(**{"status": Status.PASS, "message": "fine"} | told)


def test_an_ordinary_result_stays_the_very_same() -> None:
    told = result(
        measurements=(Measurement("size", 1.0, "By", (("path", "/var"),)),), details={"peer": "::1", "status_code": 200}
    )
    assert sound(told) is told


@given(st.text(), st.text(), st.dictionaries(st.text(), _values, max_size=4), st.text())
def test_any_texts_and_details_become_lines_and_plain_data(
    message: str, kind: str, details: dict[str, Any], label: str
) -> None:
    told = sound(result(message=message, error_type=kind, details=details, measurements=(_one(label),), log=(message,)))
    texts = (told.message, told.error_type or "", told.measurements[0].attributes[0][1], *told.log, *told.details)
    assert not any("\n" in text or "\x1b" in text for text in texts)
    for text in texts:
        text.encode()  # raises for a lone surrogate
    json.dumps(told.details)


def _one(label: str) -> Measurement:
    return Measurement("size", 1.0, "By", (("path", label),))


def test_details_that_hold_themselves_end_somewhere() -> None:
    circle: dict[str, Any] = {"a": 1}
    circle["again"] = circle
    assert len(json.dumps(sound(result(details=circle)).details)) < 500


def test_keys_of_details_become_texts() -> None:
    assert sound(result(details={("a", 1): 1})).details == {"('a', 1)": 1}


def test_what_is_large_is_cut() -> None:
    told = sound(result(message="m" * 10**6, details={"d": "d" * 10**6, "l": list(range(10**5)), ("a", 1): 10**400}))
    assert len(told.message) == 2000
    assert len(json.dumps(told.details)) < 5000
    assert list(told.details) == ["d", "l", "('a', 1)"]


@pytest.mark.parametrize(
    "told",
    [
        {"status": "weird"},
        {"details": [1]},
        {"measurements": None},
        {"measurements": ("size",)},
        {"measurements": (Measurement("size", "many", "By"),)},  # type: ignore[arg-type]  # what a user returns
        {"measurements": (Measurement("size", 1.0, "By", (("path",),)),)},  # type: ignore[arg-type]  # what a user returns
        {"log": 5},
    ],
)
def test_what_is_no_result_is_refused(told: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        sound(result(**told))


def test_what_only_looks_strange_is_taken_by_its_meaning() -> None:
    told = sound(result(status="warn", message=5, measurements=[Measurement("size", 7, "By", (("disk", 0),))]))  # type: ignore[arg-type]  # what a user returns
    assert (told.status, told.message) == (Status.WARN, "5")
    assert told.measurements == (Measurement("size", 7.0, "By", (("disk", "0"),)),)
