"""Reads TOML into a tree; where everything stands is found by a scan of its own, for tomllib does not tell."""

from __future__ import annotations

import re
from bisect import bisect_right

from otelhealth.config.documents import tree
from otelhealth.config.where import Node, Place, Way
from otelhealth.errors import ConfigError

_KEYS = re.compile(r"\('([^()]*)',?\)")  # tomllib names a table as Python's tuple
_PLACE = re.compile(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)$")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\"]|\\.|"(?!""))*"{3,5}'  # up to two quotes may stand before the closing three
    r"|'''(?:[^']|'(?!''))*'{3,5}"
    r'|"(?:[^\\"\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]+")


def read_toml(text: str, file: str, *, placed: bool = False) -> Node:
    """The tree of a TOML document; `placed` with the line and column of each key and value, which takes as long again.

    Raises ConfigError where there can be no tree.
    """
    import tomllib  # noqa: PLC0415 - most are YAML, and a start counts milliseconds

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _PLACE.search(str(error))
        line, column = (int(match[1]), int(match[2])) if match and match[1] else (None, None)
        said = _KEYS.sub(lambda keys: keys[1].replace("', '", "."), _PLACE.sub("", str(error)))
        sentence = f"not TOML: {said[:1].lower()}{said[1:]}"
        raise ConfigError([Place(file, line, column).problem("", sentence)]) from error
    except ValueError as error:
        raise ConfigError([Place(file).problem("", "a number with too many digits", "write a smaller one")]) from error
    except RecursionError as error:
        raise ConfigError([Place(file).problem("", "nested too deeply", "flatten it")]) from error
    root = tree(document, Place(file))
    if placed:
        _place(root, text, file)
    return root


def _place(root: Node, text: str, file: str) -> None:
    """Tell the nodes their places; where the scan does not find just what tomllib found, they are left without."""
    try:
        offsets = Scan(text).document()
    except (IndexError, ValueError, RecursionError):
        return
    nodes = dict(root.walk())
    if nodes.keys() - {()} != offsets.keys():
        return
    lines = _Lines(text, file)
    for way, (key, value) in offsets.items():
        nodes[way].key_place, nodes[way].place = lines.place(key), lines.place(value)


class _Lines:
    """Offsets as lines and columns."""

    def __init__(self, text: str, file: str) -> None:
        self._file = file
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]

    def place(self, offset: int) -> Place:
        line = bisect_right(self._starts, offset)
        return Place(self._file, line, offset - self._starts[line - 1] + 1)


class Scan:
    """Finds the offsets of all keys and values of a document that is known to be TOML: (key, value) by path."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._found: dict[Way, tuple[int, int]] = {}
        self._lasts: dict[Way, int] = {}  # the index of the last table in each array of tables

    def document(self) -> dict[Way, tuple[int, int]]:
        """Raises IndexError or ValueError where it is no TOML after all."""
        table: Way = ()
        while self._next() is not None:
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self._found

    def _header(self) -> Way:
        begin, double = self._at, self._text.startswith("[[", self._at)
        self._at += 2 if double else 1
        way: Way = ()
        keys = self._keys()
        for number, (name, offset) in enumerate(keys, 1):
            way, last = (*way, name), number == len(keys)
            self._found.setdefault(way, (offset, offset))
            if last and not double:
                self._found[way] = (offset, offset)  # a table below it may have been named first
            if last and double:
                self._lasts[way] = self._lasts.get(way, -1) + 1
                way = (*way, self._lasts[way])
                self._found[way] = (begin, begin)
            elif way in self._lasts:
                way = (*way, self._lasts[way])
        self._expect("]]" if double else "]")
        return way

    def _pair(self, table: Way) -> None:
        way, offset = table, self._at
        for name, offset in self._keys():
            way = (*way, name)
            self._found.setdefault(way, (offset, offset))
        self._expect("=")
        self._skip(_SPACE)
        self._found[way] = (offset, self._at)
        self._value(way)

    def _keys(self) -> list[tuple[str, int]]:
        """A dotted key, part by part with its offset."""
        import tomllib  # noqa: PLC0415 - loaded by now

        parts = []
        while True:
            self._skip(_SPACE)
            offset = self._at
            if self._text[offset] in "\"'":
                self._skip(_STRING)
                parts.append((str(tomllib.loads(f"x = {self._text[offset : self._at]}")["x"]), offset))
            else:
                self._skip(_BARE_KEY)
                parts.append((self._text[offset : self._at], offset))
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return parts
            self._at += 1

    def _value(self, way: Way) -> None:
        match self._text[self._at]:
            case "[":
                self._at += 1
                index = 0
                while self._next() != "]":
                    self._found[*way, index] = (self._at, self._at)
                    self._value((*way, index))
                    index += 1
                    self._comma()
                self._at += 1
            case "{":
                self._at += 1
                while self._next() != "}":
                    self._pair(way)
                    self._comma()
                self._at += 1
            case '"' | "'":
                self._skip(_STRING)
            case _:
                self._skip(_SCALAR)

    def _comma(self) -> None:
        if self._next() == ",":
            self._at += 1

    def _next(self) -> str | None:
        """The next character that is neither blank nor comment; None at the end."""
        self._skip(_BLANK)
        return self._text[self._at] if self._at < len(self._text) else None

    def _expect(self, text: str) -> None:
        self._skip(_SPACE)
        if not self._text.startswith(text, self._at):
            raise ValueError(f"no {text!r} at {self._at}")
        self._at += len(text)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"nothing of the kind at {self._at}")
        self._at = found.end()
