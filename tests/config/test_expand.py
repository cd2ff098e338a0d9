from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.config.documents import read_yaml
from otelhealth.config.expand import MAX_FILE, Expander, ExpansionError, expand
from otelhealth.config.sources import Sources
from otelhealth.config.where import Node

HERE = Path(__file__).parent


def expander(environ: dict[str, str], base: Path = HERE) -> Expander:
    return Expander(environ, base, Sources().opens)


def expanded(text: str, environ: dict[str, str], base: Path = HERE) -> Node:
    root, _ = read_yaml(text, "shop.yaml")
    assert expand(root, expander(environ, base)) == []
    return root


def refusal(text: str, environ: dict[str, str], base: Path = HERE) -> str:
    with pytest.raises(ExpansionError) as caught:
        expander(environ, base).text(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("${env:HOST}", "db"),
        ("${HOST}", "db"),
        ("http://${env:HOST}:${env:PORT}/", "http://db:5432/"),
        ("${env:NONE:-x}", "x"),
        ("${env:NONE:-}", ""),
        ("${env:EMPTY:-x}", ""),
        ("${env:NONE:-${env:HOST}}", "db"),
        ("${env:NONE:-a:-b}", "a:-b"),
        ("$$", "$"),
        ("$${env:HOST}", "${env:HOST}"),
        ("$$$${env:HOST}", "$${env:HOST}"),
        ("$$${env:HOST}", "$db"),
        ("$.items", "$.items"),
        ("^ok$", "^ok$"),
        ("$HOST", "$HOST"),
        ("{}}", "{}}"),
    ],
)
def test_an_expression_is_replaced_as_in_the_collector(text: str, meaning: str) -> None:
    assert expander({"HOST": "db", "PORT": "5432", "EMPTY": ""}).text(text) == meaning


def test_what_an_expression_gives_is_not_expanded_again() -> None:
    assert expander({"PASSWORD": "a$$b${env:PASSWORD}"}).text("x${env:PASSWORD}") == "xa$$b${env:PASSWORD}"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("${env:NONE}", "${env:NONE} is not set; set NONE, or give a default: ${env:NONE:-...}"),
        ("${env:}", "${env:} names no variable; a name has letters, digits and _ only"),
        ("${}", "${} names no variable; a name has letters, digits and _ only"),
        ("${env:A-B:-x}", "${env:A-B:-x} names no variable; a name has letters, digits and _ only"),
        ("${NONE:-x}", "${NONE:-x} has an unknown source; write ${env:NAME} or ${file:/path}"),
        ("a ${env:B", "${env:B has no closing brace; close it, or write $$ for a dollar sign"),
        ("${env:A:-" * 20, "expressions are nested too deeply; flatten them"),
    ],
)
def test_an_expression_that_cannot_be_expanded_is_named(text: str, sentence: str) -> None:
    assert refusal(text, {}) == sentence


def test_a_file_gives_its_text_without_the_last_line_end(tmp_path: Path) -> None:
    (tmp_path / "unix").write_text("s3cret\n\n")
    (tmp_path / "dos").write_bytes(b"s3cret\r\n")
    (tmp_path / "bare").write_text("s3cret")
    one = expander({"DIR": str(tmp_path)}, tmp_path)
    assert one.text("${file:unix}") == "s3cret\n"
    assert one.text("${file:dos}") == one.text("${file:bare}") == one.text("${file:${env:DIR}/bare}") == "s3cret"


def test_a_file_that_cannot_be_read_is_named_and_its_content_never_shown(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(b"x" * (MAX_FILE + 1))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name, why in (
        ("none", "cannot be read: No such file or directory"),
        (".", "cannot be read: Is a directory"),
        ("a\0b", "cannot be read: no such path"),
        ("large", "is larger than 1MiB"),
        ("binary", "is not UTF-8 text"),
    ):
        assert refusal(f"${{file:{name}}}", {}, tmp_path).startswith(f"${{file:{name}}} {why}; ")


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        *(("5", 5), ("true", True), ("[a, 1]", ["a", 1]), ("{a: 1}", {"a": 1}), ("", None), ("{}", {})),
        *(("on", "on"), ("a # b", "a # b"), ("# b", "# b"), ("'5'", "'5'"), ("*x", "*x"), ("[a", "[a"), ("5s", "5s")),
    ],
)
def test_a_scalar_that_is_one_expression_takes_the_type_of_its_value_and_keeps_the_text(
    value: str, meaning: Any
) -> None:
    node = expanded("a: '${env:X}'", {"X": value}).value["a"]
    assert node.plain() == meaning
    assert value in (node.value, node.text)


def test_an_expression_inside_a_text_stays_text() -> None:
    assert expanded("a: ${env:X}0", {"X": "5"}).plain() == {"a": "50"}


def test_what_was_expanded_is_marked_by_its_expression_down_to_the_last_item() -> None:
    root = expanded("a: ${env:X}\nb: x\nc: y${env:X}", {"X": "[s3cret]"})
    assert [node.origin for _, node in root.walk()] == ["", "${env:X}", "${env:X}", "", "y${env:X}"]


def test_all_expressions_that_cannot_be_expanded_are_told_with_their_places() -> None:
    root, _ = read_yaml("a: ${env:X}\nb: [1, '${env:Y}']\n", "shop.yaml")
    assert [str(problem) for problem in expand(root, expander({}))] == [
        "shop.yaml:1:4: a: ${env:X} is not set; set X, or give a default: ${env:X:-...}",
        "shop.yaml:2:8: b[1]: ${env:Y} is not set; set Y, or give a default: ${env:Y:-...}",
    ]


@given(st.text(max_size=40))
def test_a_text_with_its_dollars_doubled_stands_for_itself(text: str) -> None:
    assert expander({}).text(text.replace("$", "$$")) == text


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.text(max_size=10).filter(lambda text: "$" not in text))
def test_any_value_arrives_unaltered(value: str, around: str) -> None:
    assert expander({"X": value}).text(f"{around}${{env:X}}{around}") == f"{around}{value}{around}"


@given(st.text(st.characters(codec="utf-8"), max_size=30))
def test_a_setting_that_wants_a_text_can_always_have_it(value: str) -> None:
    node = expanded("a: ${env:X}", {"X": value}).value["a"]
    assert (node.text if node.text is not None else node.value) == value


@given(st.text("${}:-env:fileAB/.\\ ", max_size=40))
def test_any_text_is_expanded_or_refused_without_a_value(text: str) -> None:
    try:
        expander({"A": "s3cret", "B": "s3cret"}).text(text)
    except ExpansionError as error:
        assert "s3cret" not in str(error)  # noqa: PT017 - either outcome is right
