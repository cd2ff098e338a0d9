"""Reads the file and all it includes into one tree, with every expression expanded. Judges no setting."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping
from pathlib import Path

from otelhealth.config.documents import read_yaml
from otelhealth.config.expand import Expander, expand
from otelhealth.config.files import read_file, remedy
from otelhealth.config.given import Given
from otelhealth.config.matching import MAX_ENTRIES
from otelhealth.config.sources import Sources
from otelhealth.config.toml import read_toml
from otelhealth.config.where import Node, Place, Way, dotted
from otelhealth.errors import ConfigError, Problem

MAX_FILE = 16 << 20
MAX_FILES = 1000
TOML = ".toml"


class Gatherer:
    """Reads one configuration; `problems` holds what was wrong so far. `placed`: see `read_toml`."""

    def __init__(self, environ: Mapping[str, str], sources: Sources, *, placed: bool = False) -> None:
        self._placed = placed
        self._environ = environ
        self._sources = sources
        self._chain: list[Path] = []
        self._done: set[Path] = set()
        self.problems: list[Problem] = []
        self.given: list[Given] = []
        self.order: list[str] = []  # the names of the files as they were read

    def read(self, path: Path, asked: Place | None = None) -> Node:
        """The tree of `path` and its includes; empty where it cannot be read. `asked` is where it is included."""
        name = str(path)
        real = Path(os.path.realpath(path))
        self._done.add(real)
        self.order.append(name)
        self._chain.append(real)
        try:
            root = self._document(path, name, asked)
            expander = Expander(self._environ, path.parent, self._sources.opens)
            self.problems += expand(root, expander)
            self.given += expander.given
            self._include(root, path)
        except ConfigError as error:
            self.problems += error.problems
            return Node({}, Place(name, 1, 1))
        finally:
            self._chain.pop()
        return root

    def _document(self, path: Path, name: str, asked: Place | None) -> Node:
        self._sources.opens(path)
        try:
            content = read_file(path, MAX_FILE)
        except OSError as error:
            sentence = f"{name} cannot be read: {error.strerror}" if asked else f"cannot be read: {error.strerror}"
            where, way = (asked, "include") if asked else (Place(name), "")
            raise ConfigError([where.problem(way, sentence, remedy(error))]) from error
        if len(content) > MAX_FILE:
            raise ConfigError([Place(name).problem("", "larger than 16MiB", "split it, or write less")])
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise ConfigError([Place(name, line).problem("", "not UTF-8 text", "save it as UTF-8")]) from error
        if path.suffix == TOML:
            root = read_toml(text, name, placed=self._placed)
        else:
            root, problems = read_yaml(text, name)
            self.problems += problems
        if not isinstance(root.value, dict):
            raise ConfigError([root.place.problem("", "not a mapping of sections", "begin with `checks:`")])
        return root

    def _include(self, root: Node, path: Path) -> None:
        asked = root.value.pop("include", None)
        if asked is None:
            return
        items = asked.value if isinstance(asked.value, list) else [asked]
        for item in items:
            if not isinstance(item.value, str) or not item.value or "\0" in item.value:
                self._problem(item.place, "wants the path of a file, or a list of them", "write include: [more.yaml]")
                continue
            item.value = os.path.expanduser(item.value)  # noqa: PTH111 - a glob is no path
            for chosen in self._chosen(item, path.parent):
                self._one(root, chosen, item)

    def _chosen(self, item: Node, base: Path) -> list[Path]:
        if not glob.has_magic(item.value):
            return [base / item.value]
        found = self._sources.glob(base, item.value)
        if found is None:
            sentence = f"looks through more than {MAX_ENTRIES:,} files and folders"
            self._problem(item.place, sentence, "name the folder of the files, such as conf.d/*.yaml")
        paths = [Path(each) for each in found or ()]
        return [each for each in paths if each.is_file() and Path(os.path.realpath(each)) not in self._chain]

    def _one(self, root: Node, path: Path, item: Node) -> None:
        real = Path(os.path.realpath(path))
        if real in self._chain:
            names = " -> ".join(each.name for each in [*self._chain[self._chain.index(real) :], real])
            self._problem(item.place, f"files that include each other: {names}", "remove one of the includes")
        elif real not in self._done:
            if len(self._done) >= MAX_FILES:
                raise ConfigError([item.place.problem("include", f"more than {MAX_FILES} files", "include fewer")])
            self.problems += merge(root, self.read(path, item.place))

    def _problem(self, place: Place, sentence: str, remedy: str) -> None:
        self.problems.append(place.problem("include", sentence, remedy))


def merge(into: Node, other: Node, path: Way = ()) -> list[Problem]:
    """Add `other`'s keys to `into`: maps are merged, a check stands in one file, what is there twice is a problem."""
    problems: list[Problem] = []
    for key, child in other.value.items():
        mine = into.value.get(key)
        if mine is None:
            into.value[key] = child
        elif isinstance(mine.value, dict) and isinstance(child.value, dict) and path != ("checks",):
            problems += merge(mine, child, (*path, key))
        else:
            sentence = f"defined twice, first at {mine.start}"
            problems.append(child.start.problem(dotted((*path, key)), sentence, "keep one"))
    return problems
