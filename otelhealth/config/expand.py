"""`${env:NAME}`, `${env:NAME:-default}`, `${file:/path}` and `$$`, as in the Collector. A value found so never shows.

A scalar that is one expansion takes the type its value has as YAML, and stays the text it was where a setting wants a
text. What an expansion gives is not expanded again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from otelhealth.config.documents import read_yaml
from otelhealth.config.files import read_file, remedy
from otelhealth.config.given import Given, given_to
from otelhealth.config.where import Node, Way, dotted
from otelhealth.errors import ConfigError, OtelHealthError, Problem

MAX_FILE = 1 << 20
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
MAX_NESTING = 8
REFUSED = "refused"  # the origin of a node whose expression could not be expanded: further errors there mean nothing


class ExpansionError(OtelHealthError):
    """An expression that cannot be expanded. Its text names the expression, never a value."""


class Expander:
    """Expands the texts of one file. `opened` is told of every file that is read, so that it can be watched."""

    def __init__(self, environ: Mapping[str, str], base: Path, opened: Callable[[Path], None]) -> None:
        self._environ = environ
        self._base = base
        self._opened = opened
        self._gave: list[tuple[str, bool]] = []  # to the node at hand: value, whether a file gave it
        self.given: list[Given] = []

    def text(self, text: str) -> str:
        """`text` with every expression replaced; raises ExpansionError naming the first that cannot be."""
        done, position = [], 0
        while (dollar := text.find("$", position)) >= 0:
            done.append(text[position:dollar])
            follows = text[dollar + 1 : dollar + 2]
            if follows == "{":
                end = _closing(text, dollar)
                done.append(self._value(text[dollar + 2 : end], text[dollar : end + 1]))
                position = end + 1
            else:
                done.append("$")
                position = dollar + (2 if follows == "$" else 1)
        return "".join(done) + text[position:]

    def node(self, node: Node, path: Way) -> None:
        """Expand a scalar in place; one that is a single expression takes the type of what it stands for."""
        written = node.value
        if not isinstance(written, str) or "$" not in written:
            return
        value = self.text(written)
        if "${" in written.replace("$$", ""):
            node.origin = written
        if written.startswith("${") and _closing(written, 0) == len(written) - 1:
            retype(node, value)
        else:
            node.value = value
        if self._gave:
            self.given += given_to(path, node, self._gave)
            self._gave = []

    def _value(self, inside: str, expression: str) -> str:
        scheme, colon, rest = inside.partition(":")
        if scheme == "file" and colon:
            return self._file(self.text(rest), expression)
        if scheme == "env" and colon:
            return self._variable(rest, expression)
        if not colon:
            return self._variable(inside, expression)
        raise ExpansionError(f"{expression} has an unknown source", "write ${env:NAME} or ${file:/path}")

    def _variable(self, rest: str, expression: str) -> str:
        name, separator, default = rest.partition(":-")
        if not _NAME.fullmatch(name):
            raise ExpansionError(f"{expression} names no variable", "a name has letters, digits and _ only")
        value = self._environ.get(name)
        if value is not None:
            self._gave.append((value, False))
            return value
        if separator:
            return self.text(default)
        raise ExpansionError(f"{expression} is not set", f"set {name}, or give a default: ${{env:{name}:-...}}")

    def _file(self, name: str, expression: str) -> str:
        path = self._base / name
        self._opened(path)
        try:
            content = read_file(path, MAX_FILE)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "no such path"
            raise ExpansionError(f"{expression} cannot be read: {reason}", remedy(error)) from error
        if len(content) > MAX_FILE:
            raise ExpansionError(f"{expression} is larger than 1MiB", "name a smaller file")
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            raise ExpansionError(f"{expression} is not UTF-8 text", "name a text file") from error
        text = text[:-2] if text.endswith("\r\n") else text.removesuffix("\n")
        self._gave.append((text, True))
        return text


def _closing(text: str, dollar: int) -> int:
    """Where the `}` stands that ends the expression at `dollar`; expressions may stand in a default."""
    depth, position = 0, dollar
    while position < len(text):
        if text.startswith("${", position):
            depth += 1
            if depth > MAX_NESTING:
                raise ExpansionError("expressions are nested too deeply", "flatten them")
            position += 2
        elif text[position] == "}":
            depth -= 1
            if depth == 0:
                return position
            position += 1
        else:
            position += 1
    raise ExpansionError(
        f"{text[dollar : dollar + 40]} has no closing brace", "close it, or write $$ for a dollar sign"
    )


def retype(node: Node, value: str) -> None:
    """Give `node` what `value` means as YAML, and keep the text for a setting that wants one."""
    node.value, node.text = (value, None) if value else (None, "")
    try:
        parsed, problems = read_yaml(value, node.origin)
    except ConfigError:
        return
    commented = parsed.value == {} and "{" not in value
    if problems or commented or isinstance(parsed.value, str):
        return
    for _, inner in parsed.walk():
        inner.place = inner.key_place = node.place
        inner.origin = node.origin
    node.value, node.text = parsed.value, value


def expand(root: Node, expander: Expander) -> list[Problem]:
    """Expand every scalar below `root`, and say which cannot be. Keys are left as they are."""
    problems = []
    for path, node in root.walk():
        if node.origin:
            continue
        try:
            expander.node(node, path)
        except ExpansionError as error:
            problems.append(node.place.problem(dotted(path), error.sentence, error.remedy))
            node.value, node.text, node.origin = None, None, REFUSED
    return problems
