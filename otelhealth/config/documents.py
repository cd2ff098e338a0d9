"""Reads YAML (1.2's core schema, bounded) into a tree that knows its places. Expands and judges nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time
from typing import Any

import yaml
from yaml.reader import ReaderError

from otelhealth.config.where import Node, Place, dotted
from otelhealth.errors import ConfigError, Problem

MAX_DEPTH = 64
MAX_NODES = 1_000_000  # keys and values
MAX_COPIES = 200_000  # of them, by aliases
_PLAIN = "plain"
_TAG = "tag:yaml.org,2002:"
_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]{1,1000}|0o[0-7]{1,1000}|0x[0-9a-fA-F]{1,1000}")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_SENTENCES = (
    ("mapping values are not allowed", "a colon that begins no mapping", "indent it as a key, or quote the text"),
    ("could not find expected ':'", "a key without a colon", "write `key: value`, or quote the text"),
    ("cannot start any token", "a tab, %, @ or ` that cannot begin a value", "indent with spaces, or quote the text"),
    ("did not find expected key", "neither a key nor the end of the mapping", "align it with the keys above"),
    ("expected <block end>", "neither a key nor the end of the mapping", "align it with the keys above"),
    ("found unexpected ':'", "a colon without a space after it", "write `key: value`, or quote the text"),
    ("nested too deeply", "nested too deeply", "flatten it"),
    ("exceeded maximum nesting depth", "nested too deeply", "flatten it"),
    ("did not find expected '-' indicator", "no item of the list above", "begin it with `-`, or align it"),
    ("did not find expected ',' or", "a `[` or `{` without its end", "close it, or put a comma between the items"),
    ("expected ',' or", "a `[` or `{` without its end", "close it, or put a comma between the items"),
    ("while scanning a quoted scalar", "a quote without its end", "close it"),
    ("unexpected end of stream", "a quote without its end", "close it"),
    ("found duplicate anchor", "an anchor whose name is taken above it", "give it another name"),
    ("invalid Unicode character escape", "an escape that is no character", "write the character itself"),
    ("undefined alias", "an alias whose anchor is not defined above it", "define it with `&name` first"),
    ("but found another document", "a second document", "keep one document to a file"),
)


class _Bounds:
    """Stands for PyYAML's resolver: only tells plain scalars apart, and stops at the depth that is too deep."""

    _depth = 0

    def descend_resolver(self, current_node: Any, current_index: Any) -> None:  # noqa: ARG002 - PyYAML's signature
        self._depth += 1
        if self._depth > MAX_DEPTH:
            mark = getattr(current_node, "start_mark", None)
            raise yaml.MarkedYAMLError(None, None, "nested too deeply", mark)

    def ascend_resolver(self) -> None:
        self._depth -= 1

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:  # noqa: ARG002 - PyYAML's signature
        return _PLAIN if kind is yaml.ScalarNode and implicit[0] else ""


class _PythonComposer(_Bounds, yaml.SafeLoader):
    pass


class _FastComposer(_Bounds, yaml.CSafeLoader if yaml.__with_libyaml__ else yaml.SafeLoader):  # type: ignore[misc]  # a base chosen by the machine
    pass


_composer: type[yaml.SafeLoader | yaml.CSafeLoader] = _FastComposer


def scalar(text: str) -> Any:
    """What a plain scalar means by YAML 1.2's core schema: `on`, `012:30` and `2026-01-02` are texts."""
    if text in _BOOL:
        return _BOOL[text]
    if _NULL.fullmatch(text):
        return None
    if _INT.fullmatch(text):
        return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
    if _FLOAT.fullmatch(text):
        return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    return text


class _Builder:
    """Makes our tree of PyYAML's: keys unique, aliases copied within bounds, `<<` merged, tags of the core schema."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._count = self._copies = 0
        self._open: set[int] = set()
        self._built: set[int] = set()  # lists and mappings
        self._within = 0  # copies of them that are being made, one in the other
        self._at = Place(file)  # the last key that is no copy
        self.problems: list[Problem] = []

    def place(self, node: yaml.Node) -> Place:
        return Place(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def build(self, node: yaml.Node, path: tuple[str | int, ...] = ()) -> Node:
        again = id(node) in self._built
        self._count += 1
        self._copies += again or self._within > 0
        if self._count > MAX_NODES or self._copies > MAX_COPIES:
            raise self._too_large(path)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            raise ConfigError([self.place(node).problem(dotted(path), "an alias inside its own anchor", "remove it")])
        self._open.add(id(node))
        self._within += again
        if node.tag not in ("", _TAG + "map", _TAG + "seq"):
            self._unknown_tag(node, path)
        value: Any = (
            self._mapping(node, path)
            if isinstance(node, yaml.MappingNode)
            else [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        )
        self._within -= again
        self._open.discard(id(node))
        self._built.add(id(node))
        return Node(value, self.place(node))

    def _too_large(self, path: tuple[str | int, ...]) -> ConfigError:
        copied = self._copies > MAX_COPIES
        sentence = f"aliases copy more than {MAX_COPIES:,} values" if copied else f"more than {MAX_NODES:,} values"
        return ConfigError([self._at.problem(dotted(path[:2]), sentence, "write fewer of them")])

    def _scalar(self, node: yaml.ScalarNode, path: tuple[str | int, ...]) -> Node:
        text, place = node.value, self.place(node)
        if node.tag in ("", _TAG + "str"):
            return Node(text, place)
        if node.tag != _PLAIN and node.tag.removeprefix(_TAG) not in ("int", "float", "bool", "null"):
            self._unknown_tag(node, path)
        value = scalar(text)
        return Node(value, place, text=None if value is None or value is text else text)

    def _unknown_tag(self, node: yaml.Node, path: tuple[str | int, ...]) -> None:
        tag = node.tag.replace(_TAG, "!!")
        self.problems.append(self.place(node).problem(dotted(path), f"the tag {tag} has no meaning here", "remove it"))

    def _mapping(self, node: yaml.MappingNode, path: tuple[str | int, ...]) -> dict[str, Node]:
        found: dict[str, Node] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._problem(key_node, path, "a key must be a text", "quote it")
                continue
            key, place = key_node.value, self.place(key_node)
            if not self._within:
                self._at = place
            if key == "<<" and key_node.tag == _PLAIN:
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            elif key in found:
                first = found[key].start
                self._problem(key_node, (*path, key), f"given twice, first on line {first.line}", "keep one")
            else:
                found[key] = child = self.build(value_node, (*path, key))
                child.key_place = place
        for base in merged:
            self._merge(found, base, path)
        return found

    def _merge(self, found: dict[str, Node], base: yaml.Node, path: tuple[str | int, ...]) -> None:
        if not isinstance(base, yaml.MappingNode):
            self._problem(base, (*path, "<<"), "only a mapping can be merged", "name the anchor of one")
            return
        for key, child in self.build(base, path).value.items():
            found.setdefault(key, child)

    def _problem(self, node: yaml.Node, path: tuple[str | int, ...], sentence: str, remedy: str) -> None:
        self.problems.append(self.place(node).problem(dotted(path), sentence, remedy))


def read_yaml(text: str, file: str) -> tuple[Node, list[Problem]]:
    """The tree of a YAML document and what is wrong in it; raises ConfigError where there can be no tree."""
    composer = None
    try:
        composer = _composer(text)
        root = composer.get_single_node()
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError([_yaml_problem(error, text, file)]) from error
    finally:
        if composer is not None:
            composer.dispose()
    if root is None:
        return Node({}, Place(file, 1, 1)), []
    builder = _Builder(file)
    return builder.build(root), builder.problems


def _yaml_problem(error: Exception, text: str, file: str) -> Problem:
    if isinstance(error, ReaderError):
        before = text[: error.position] if isinstance(error.position, int) else ""
        place = Place(file, before.count("\n") + 1, len(before) - before.rfind("\n"))
        return place.problem("", "a control character", "remove it, or write it as an escape in double quotes")
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    place = Place(file, mark.line + 1, mark.column + 1) if mark else Place(file)
    said = f"{getattr(error, 'context', None) or ''} {getattr(error, 'problem', None) or 'nested too deeply'}".strip()
    for known, sentence, remedy in _SENTENCES:
        if known in said:
            return place.problem("", sentence, remedy)
    return place.problem("", f"not YAML: {said}")


def tree(value: Any, place: Place, depth: int = 0) -> Node:
    """Plain data as a tree at one place; dates and times become the texts they are in YAML. ConfigError: too deep."""
    if depth > MAX_DEPTH:
        raise ConfigError([place.problem("", "nested too deeply", "flatten it")])
    if isinstance(value, Mapping):
        return Node({str(key): tree(child, place, depth + 1) for key, child in value.items()}, place)
    if isinstance(value, list | tuple):
        return Node([tree(child, place, depth + 1) for child in value], place)
    if isinstance(value, datetime | date | time):
        return Node(value.isoformat(), place)
    if isinstance(value, bool):
        return Node(value, place, text=str(value).lower())
    return Node(value, place, text=str(value) if isinstance(value, int | float) else None)
