from __future__ import annotations

import math
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.config import documents
from otelhealth.config.documents import read_yaml, scalar
from otelhealth.config.where import Node, dotted
from otelhealth.errors import ConfigError


def data(text: str) -> Any:
    root, problems = read_yaml(text, "shop.yaml")
    assert problems == []
    return root.plain()


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read_yaml(text, "shop.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "on",
        "off",
        "yes",
        "no",
        "y",
        "N",
        "Yes",
        "12:30:45",
        "2026-01-02",
        "1_000",
        "0b1",
        "=",
        "<<x",
        "tRUE",
        "0x",
        "+",
        ".",
        "1e",
        "٣",
    ],
)
def test_what_yaml_1_1_took_for_something_else_stays_text(text: str) -> None:
    assert scalar(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("true", True), ("FALSE", False), ("null", None), ("~", None), ("", None), ("12", 12), ("-7", -7), ("+3", 3)),
        *(("012", 12), ("0o14", 12), ("0xFF", 255), ("1.5", 1.5), (".5", 0.5), ("5.", 5.0), ("1e3", 1000.0)),
        *(("-.inf", -math.inf), (".Inf", math.inf)),
    ],
)
def test_a_plain_scalar_means_what_the_core_schema_of_yaml_1_2_says(text: str, value: object) -> None:
    assert scalar(text) == value
    assert type(scalar(text)) is type(value)


def test_not_a_number_is_one_in_yaml_only() -> None:
    assert math.isnan(scalar(".NaN"))


def test_a_quoted_scalar_is_a_text() -> None:
    assert data("a: '1'\nb: \"true\"\nc: |\n  5\n") == {"a": "1", "b": "true", "c": "5\n"}


def test_a_tag_of_the_core_schema_is_kept_to() -> None:
    assert data("a: !!str 5\nb: !!int 5\nc: !!map {d: !!seq [1]}") == {"a": "5", "b": 5, "c": {"d": [1]}}


def test_a_number_keeps_the_text_it_was_written_as() -> None:
    root, _ = read_yaml("version: 1.10", "shop.yaml")
    assert (root.value["version"].value, root.value["version"].text) == (1.1, "1.10")


def test_every_value_and_key_knows_its_place() -> None:
    root, _ = read_yaml("checks:\n  api:\n    url: x\n    tags: [a,\n      b]\n", "shop.yaml")
    places = {dotted(path): (str(node.start), str(node.place)) for path, node in root.walk()}
    assert places["checks.api.url"] == ("shop.yaml:3:5", "shop.yaml:3:10")
    assert places["checks.api.tags[1]"] == ("shop.yaml:5:7", "shop.yaml:5:7")


def test_an_alias_stands_for_a_copy_of_its_anchor() -> None:
    assert data("a: &x {b: [1]}\nc: *x") == {"a": {"b": [1]}, "c": {"b": [1]}}


def test_a_merge_key_fills_in_what_is_not_there() -> None:
    text = "base: &b {every: 5s, tier: 1}\nother: &o {tier: 3, tags: [x]}\nc: {<<: [*b, *o], every: 1m}"
    assert data(text)["c"] == {"every": "1m", "tier": 1, "tags": ["x"]}


def test_an_empty_document_is_an_empty_configuration() -> None:
    assert data("") == {}
    assert data("# nothing\n") == {}


def test_all_duplicate_keys_are_told() -> None:
    _, problems = read_yaml("a: 1\na: 2\nb: {c: 1, c: 2}\n", "shop.yaml")
    assert [str(problem) for problem in problems] == [
        "shop.yaml:2:1: a: given twice, first on line 1; keep one",
        "shop.yaml:3:11: b.c: given twice, first on line 3; keep one",
    ]


def test_a_key_that_is_a_mapping_is_refused() -> None:
    _, problems = read_yaml("? {a: 1}\n: 2\n", "shop.yaml")
    assert [str(problem) for problem in problems] == ["shop.yaml:1:3: a key must be a text; quote it"]


def test_a_control_character_is_refused_at_its_place() -> None:
    assert refusal("a: 1\nb: x\x00\n") == (
        "shop.yaml:2:5: a control character; remove it, or write it as an escape in double quotes"
    )


def test_aliases_that_grow_are_refused_where_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_COPIES", 1000)
    lines = ["a0: &a0 [x, x]"] + [f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40)]
    refused = "shop.yaml:8:1: a7[1]: aliases copy more than 1,000 values; write fewer of them"
    assert refusal("\n".join(lines)) == refused
    merging = ["base: &base {" + ", ".join(f"k{n}: 1" for n in range(100)) + "}", "checks:"]
    merging += [f"  c{n}: {{<<: *base}}" for n in range(10)]
    assert refusal("\n".join(merging)) == refused.replace("8:1: a7[1]", "12:8: checks.c9")


def test_a_document_with_too_many_values_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_NODES", 100)
    refused = "shop.yaml:2:1: b[97]: more than 100 values; write fewer of them"
    assert refusal(f"a: 1\nb: [{'x, ' * 100}]") == refused


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_a_deep_document_is_refused(opening: str) -> None:
    assert "nested too deeply; flatten it" in refusal(opening * 5000)


def test_without_the_c_library_the_same_is_read_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a: [1, on, 'x', {b: !!str 2}]\nc: &d {e: ~}\nf: *d\n"
    fast, _ = read_yaml(text, "shop.yaml")
    monkeypatch.setattr(documents, "_composer", documents._PythonComposer)  # noqa: SLF001 - the way around libyaml
    slow, _ = read_yaml(text, "shop.yaml")
    assert slow.plain() == fast.plain()
    assert [str(node.start) for _, node in slow.walk()] == [str(node.start) for _, node in fast.walk()]
    assert "nested too deeply" in refusal("[" * 100)
    for wrong in ("a: b: c", "a: [1", "a: 'x", "a: *b", "a\nb: 1\n", "a: 1\n--- b\n", "a:\n\t- b", "a: \x00"):
        assert "not YAML" not in refusal(wrong)


def means_the_same_to_both(text: str) -> bool:
    """PyYAML writes YAML 1.1: it leaves `0E0`, `0o7` and `08` without quotes, which are numbers in YAML 1.2."""
    return isinstance(scalar(text), str) or yaml.safe_dump(text).startswith("'")


def leaves() -> st.SearchStrategy[Any]:
    return (
        st.none()
        | st.booleans()
        | st.integers(-(10**12), 10**12)
        | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=12).filter(
            means_the_same_to_both
        )
    )


@given(
    st.recursive(
        leaves(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abc-_.", max_size=5), inner, max_size=4),
        max_leaves=20,
    )
)
def test_what_another_writer_wrote_is_read_as_it_was(value: Any) -> None:
    text = yaml.safe_dump({"value": value}, allow_unicode=True)
    assert data(text) == {"value": value}


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    try:
        root, _ = read_yaml(text, "shop.yaml")
    except ConfigError as error:
        assert str(error).startswith("shop.yaml")  # noqa: PT017 - either outcome is right
    else:
        assert isinstance(root, Node)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("checks", "api", "tags", 0), "checks.api.tags[0]"),
        (("checks", "a.b", "$.items"), 'checks."a.b"."$.items"'),
        ((), ""),
    ],
)
def test_a_path_reads_as_one_would_say_it(path: tuple[str | int, ...], text: str) -> None:
    assert dotted(path) == text
