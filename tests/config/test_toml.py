"""TOML means what it means in YAML, and each key and value is found where a person sees it."""

from __future__ import annotations

import json
import tomllib
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelhealth.config.toml import Scan, read_toml
from otelhealth.config.where import Way
from otelhealth.errors import ConfigError


def test_toml_means_the_same_and_its_dates_stay_text() -> None:
    root = read_toml('a = 1\nb = [true, 1.5]\nc = 2026-01-02T03:04:05Z\n[d.e]\nf = "x"\n', "shop.toml")
    assert root.plain() == {"a": 1, "b": [True, 1.5], "c": "2026-01-02T03:04:05+00:00", "d": {"e": {"f": "x"}}}
    assert root.value["a"].text == "1"


@pytest.mark.parametrize("placed", [True, False])
def test_a_deep_document_is_refused(placed: bool) -> None:
    with pytest.raises(ConfigError, match=r"shop\.toml"):
        read_toml("a = " + "[" * 50_000, "shop.toml", placed=placed)


SHOP = """\
a.b = 1 # c = 2
"q.k" . 'x' = [ 1, [2], { y = "#]" , z = \'\'\'
}\'\'\' } ]
[t.u]
m = \"\"\"quote \\\" \"\"\"\"\"
\t d = 1979-05-27 07:32:00
[[t.v]]
n = {}
[t.v.w]
o = ""
[[t.v]]
[t]
p=+inf
"""


def test_places_are_those_a_person_sees() -> None:
    root = read_toml(SHOP, "shop.toml", placed=True)
    found = {way: (str(node.key_place), str(node.place)) for way, node in root.walk() if way}
    places = {way: tuple(place.removeprefix("shop.toml:") for place in pair) for way, pair in found.items()}
    assert places == {
        ("a",): ("1:1", "1:1"),
        ("a", "b"): ("1:3", "1:7"),
        ("q.k",): ("2:1", "2:1"),
        ("q.k", "x"): ("2:9", "2:15"),
        ("q.k", "x", 0): ("2:17", "2:17"),
        ("q.k", "x", 1): ("2:20", "2:20"),
        ("q.k", "x", 1, 0): ("2:21", "2:21"),
        ("q.k", "x", 2): ("2:25", "2:25"),
        ("q.k", "x", 2, "y"): ("2:27", "2:31"),
        ("q.k", "x", 2, "z"): ("2:38", "2:42"),
        ("t",): ("12:2", "12:2"),
        ("t", "u"): ("4:4", "4:4"),
        ("t", "u", "m"): ("5:1", "5:5"),
        ("t", "u", "d"): ("6:3", "6:7"),
        ("t", "v"): ("7:5", "7:5"),
        ("t", "v", 0): ("7:1", "7:1"),
        ("t", "v", 0, "n"): ("8:1", "8:5"),
        ("t", "v", 0, "w"): ("9:6", "9:6"),
        ("t", "v", 0, "w", "o"): ("10:1", "10:5"),
        ("t", "v", 1): ("11:1", "11:1"),
        ("t", "p"): ("13:1", "13:3"),
    }


def test_line_ends_of_windows_count_as_one() -> None:
    root = read_toml("a = 1\r\n\r\nb = [\r\n  2,\r\n]\r\n", "shop.toml", placed=True)
    assert str(root.value["b"].value[0].place) == "shop.toml:4:3"


_keys = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=6)
_scalars = st.booleans() | st.integers(-(10**9), 10**9) | st.text(st.characters(codec="utf-8"), max_size=12)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_keys, inner, max_size=3), max_leaves=15
)


class Writer:
    """Writes data as TOML in one of its many ways, and notes where each key and value begins."""

    def __init__(self, choose: st.DataObject) -> None:
        self._choose = choose
        self.text = ""
        self.places: dict[Way, tuple[int, int]] = {}

    def chance(self) -> bool:
        return self._choose.draw(st.booleans())

    def put(self, text: str) -> int:
        begin = len(self.text)
        self.text += text
        return begin

    def table(self, way: Way, data: dict[str, Any]) -> None:
        """Its pairs first, then those of its tables that stand under a header."""
        later = {name for name, value in data.items() if isinstance(value, dict) and self.chance()}
        for name, value in data.items():
            if name not in later:
                self.put(self._choose.draw(st.sampled_from(["", "  ", "# a = [\n", "\n"])))
                self.pair((*way, name), value)
                self.put(self._choose.draw(st.sampled_from(["\n", " # }\n", "\t\n"])))
        for name, value in data.items():
            if name in later:
                self.header((*way, name), value)

    def header(self, way: Way, data: dict[str, Any]) -> None:
        self.put("[ ")
        for number in range(1, len(way) + 1):
            self.put(" . " if number > 1 else "")
            begin = self.put(self.key(str(way[number - 1])))
            if number == len(way):
                self.places[way] = (begin, begin)
        self.put(" ]\n")
        self.table(way, data)

    def pair(self, way: Way, value: Any) -> None:
        begin = self.put(self.key(str(way[-1])))
        self.put(" = ")
        self.places[way] = (begin, len(self.text))
        self.value(way, value)

    def key(self, name: str) -> str:
        bare = name.isascii() and name.replace("-", "").replace("_", "").isalnum()
        return name if bare and self.chance() else quoted(name)

    def value(self, way: Way, value: Any) -> None:
        match value:
            case dict():
                self.put("{ ")
                for number, name in enumerate(value):
                    self.put(", " if number else "")
                    self.pair((*way, name), value[name])
                self.put(" }")
            case list():
                self.put("[")
                for index, item in enumerate(value):
                    self.put(self._choose.draw(st.sampled_from(["", " ", "\n # ] \n"])))
                    begin = len(self.text)
                    self.places[*way, index] = (begin, begin)
                    self.value((*way, index), item)
                    self.put(",")
                self.put("]")
            case str():
                literal = "'" not in value and value.isprintable() and self.chance()
                self.put(f"'{value}'" if literal else quoted(value))
            case _:
                self.put(json.dumps(value))


def quoted(text: str) -> str:
    """As a basic string of TOML, which knows JSON's escapes but no lone DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


@given(st.dictionaries(_keys, _values, max_size=4), st.data())
def test_each_key_and_value_is_found_where_it_was_written(data: dict[str, Any], choose: st.DataObject) -> None:
    writer = Writer(choose)
    writer.table((), data)
    assert tomllib.loads(writer.text) == data
    assert Scan(writer.text).document() == writer.places


_PIECES = ["a", "b.c", '"q"', "'k.l'", "[t]", "[[t]]", "[t.u]", " = 1", "= [1, 'x',]", '= {a = "}"}', "= 2026-01-02"]
_PIECES += ["\n", "\n", " ", "# c = 1\n", '= """\n"""', "= '''['''", ".", "= {}", "= []", "= -0.5e3", "[", "]"]


@given(st.lists(st.sampled_from(_PIECES), max_size=14).map("".join))
def test_the_scan_finds_what_tomllib_finds_and_ends_on_anything_else(text: str) -> None:
    try:
        tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        with suppress(IndexError, ValueError):  # what `read_toml` expects of it
            Scan(text).document()
        return
    root = read_toml(text, "shop.toml", placed=True)
    assert [way for way, node in root.walk() if way and node.place.line is None] == []
