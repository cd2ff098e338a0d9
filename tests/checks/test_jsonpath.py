from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.checks.jsonpath import JsonPath, PathNotFoundError

KEYS = st.text(max_size=8).filter(lambda text: "'" not in text and "]" not in text)
STEPS = st.lists(KEYS | st.integers(0, 3), max_size=5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", {"a": {"b c": [1, 2]}, "x-y": None}),
        ("$.a['b c'][0]", 1),
        ('$["a"]["b c"][-1]', 2),
        ("$.x-y", None),
    ],
)
def test_a_path_finds_what_stands_there(path: str, value: Any) -> None:
    assert JsonPath.parse(path).find({"a": {"b c": [1, 2]}, "x-y": None}) == value


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("$.a.b", "$.a.b is not there"),
        ("$.list[5].x", "$.list[5] is not there"),
        ("$.list.x", "$.list.x is not there"),
        ("$[0]", "$[0] is not there"),
    ],
)
def test_a_path_that_leads_nowhere_says_how_far_it_leads(path: str, sentence: str) -> None:
    with pytest.raises(PathNotFoundError, match="is not there") as caught:
        JsonPath.parse(path).find({"a": 1, "list": [1]})
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    "path", ["", "a", "$..a", "$.*", "$[*]", "$[?(@.x)]", "$.a.", "$[1:2]", "$ .a", "$['a", "$.1a"]
)
def test_what_is_not_understood_is_refused(path: str) -> None:
    with pytest.raises(ValueError, match=r"is not a JSON path|is not understood"):
        JsonPath.parse(path)


@given(STEPS)
def test_steps_written_in_brackets_are_read_back(steps: list[str | int]) -> None:
    text = "$" + "".join(f"[{step}]" if isinstance(step, int) else f"['{step}']" for step in steps)
    assert JsonPath.parse(text).steps == tuple(steps)


@given(st.text(max_size=30))
def test_any_text_is_a_path_or_a_value_error(text: str) -> None:
    try:
        told = str(JsonPath.parse("$" + text))
    except ValueError as error:
        told = str(error)
    assert told == "$" + text or "is not understood" in told


def everywhere(document: Any, path: str = "$") -> list[tuple[str, Any]]:
    found = [(path, document)]
    if isinstance(document, list):
        found += [pair for index, value in enumerate(document) for pair in everywhere(value, f"{path}[{index}]")]
    if isinstance(document, dict):
        for key, value in document.items():
            if "'" not in key and "]" not in key:
                found += everywhere(value, f"{path}['{key}']")
    return found


@given(JSON)
def test_every_place_of_a_document_is_reached(document: Any) -> None:
    for path, value in everywhere(document):
        assert JsonPath.parse(path).find(document) is value
