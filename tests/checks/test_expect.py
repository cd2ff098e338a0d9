from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.checks.expect import StatusRange, ValueTest, shown


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [(200, 200, 200), ("204", 204, 204), ("2xx", 200, 299), ("200-204", 200, 204), ("< 400", 100, 399)],
)
def test_a_status_is_written_in_these_forms(text: str | int, first: int, last: int) -> None:
    parsed = StatusRange.parse(text)
    assert (parsed.first, parsed.last) == (first, last)
    assert parsed.holds(first)
    assert parsed.holds(last)
    assert not parsed.holds(last + 1)


@pytest.mark.parametrize("text", [99, 600, True, "6xx", "204-200", "", "< 450", "ok", None, 2.5])
def test_other_forms_are_refused(text: object) -> None:
    with pytest.raises(ValueError, match="is not an HTTP status"):
        StatusRange.parse(text)


@pytest.mark.parametrize(
    ("wanted", "holding", "failing"),
    [
        ("ok", ["ok"], ["OK", "", None, 1]),
        (1, [1, 1.0], [True, "1", 2]),
        (True, [True], [1, "true", False]),
        (None, [None], [0, ""]),
        ([1, {"a": True}], [[1, {"a": True}]], [[1, {"a": 1}], [1]]),
        ("> 5", [6, 5.5], [5, "6", None, True]),
        ("<= 85%", [0.85], [0.9]),
        ("!= 5", [4, 6], [5, "4"]),
        ("!= down", ["up", 1], ["down"]),
        ("== > 5", ["> 5"], [6]),
        ("length > 0", ["a", [1], {"a": 1}], ["", [], {}, 5, None]),
        ("length == 2", [[1, 2]], [[1]]),
        ("exists", [None, 0, "x"], []),
    ],
)
def test_a_value_is_judged(wanted: Any, holding: list[Any], failing: list[Any]) -> None:
    test = ValueTest.parse(wanted)
    assert [value for value in holding if not test.holds(value)] == []
    assert [value for value in failing if test.holds(value)] == []


@pytest.mark.parametrize("wanted", ["> many", "length > x", "<"])
def test_a_comparison_needs_a_number(wanted: str) -> None:
    with pytest.raises(ValueError, match="is not a range"):
        ValueTest.parse(wanted)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_a_value_equals_itself(value: Any) -> None:
    assert ValueTest.parse(value).holds(value)


@given(st.text(max_size=500))
def test_what_is_shown_stays_short(text: str) -> None:
    assert len(shown(text)) <= 100


def test_containers_are_counted_not_shown() -> None:
    assert (shown(["secret"]), shown({"a": "secret"})) == ("a list of 1", "an object of 1")
