"""A document as a tree in which every value knows its place: what an error message points at."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any, NamedTuple

from otelhealth.errors import Problem

Key = str | int
Way = tuple[Key, ...]


class Place(NamedTuple):
    """Where something stands; lines and columns count from 1, and are None where the parser does not tell them."""

    file: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        return ":".join(str(part) for part in self if part is not None)

    def problem(self, path: str, sentence: str, remedy: str = "") -> Problem:
        return Problem(self.file, path, sentence, remedy, self.line, self.column)


class Node:
    """A value with its place. `value` is a scalar, a dict of Nodes or a list of Nodes.

    `text` is a scalar as it was written, where that differs from `value`: what a setting that wants a text is given.
    `origin` is the expression or variable the value came from; then the value is a possible secret and never shown.
    """

    __slots__ = ("key_place", "origin", "place", "text", "value")

    def __init__(
        self, value: Any, place: Place, *, text: str | None = None, origin: str = "", key_place: Place | None = None
    ) -> None:
        self.value = value
        self.place = place
        self.text = text
        self.origin = origin
        self.key_place = key_place

    def plain(self, texts: AbstractSet[int] = frozenset()) -> Any:
        """The value without places; nodes whose ids are among `texts` as the text that was written."""
        if texts and id(self) in texts:
            return self.text
        if isinstance(self.value, dict):
            return {key: child.plain(texts) for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain(texts) for child in self.value]
        return self.value

    def walk(self, path: Way = ()) -> Iterator[tuple[Way, Node]]:
        """This node and all below it, with their paths from here."""
        yield path, self
        children: Any = ()
        if isinstance(self.value, dict):
            children = self.value.items()
        elif isinstance(self.value, list):
            children = enumerate(self.value)
        for key, child in children:
            yield from child.walk((*path, key))

    def child(self, key: Key) -> Node | None:
        if isinstance(self.value, dict):
            found: Node | None = self.value.get(str(key))
            return found
        if isinstance(self.value, list) and isinstance(key, int) and key < len(self.value):
            item: Node = self.value[key]
            return item
        return None

    @property
    def start(self) -> Place:
        """Where a person looks first: the key, else the value."""
        return self.key_place or self.place


_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+")


def dotted(path: Sequence[Key]) -> str:
    """`('checks', 'api', 'endpoints', 0, '$.items')` -> `checks.api.endpoints[0]."$.items"`."""
    text = ""
    for key in path:
        if isinstance(key, int):
            text += f"[{key}]"
        else:
            text += ("." if text else "") + (key if _PLAIN_KEY.fullmatch(key) else f'"{key}"')
    return text
