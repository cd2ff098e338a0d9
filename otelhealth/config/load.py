"""From a file and the environment to a Config, or to all that is wrong with them at once."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from otelhealth.config import environment
from otelhealth.config.assemble import FIELDS, Assembler
from otelhealth.config.defaults import HOST_CHECKS
from otelhealth.config.documents import tree
from otelhealth.config.expand import Expander, expand
from otelhealth.config.gather import TOML, Gatherer
from otelhealth.config.given import Given
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.config.where import Node, Place
from otelhealth.errors import ConfigError, Problem, comparing_at_most

NAMES = ("otelhealth.yaml", "otelhealth.yml", "otelhealth.toml")
EMBEDDED = Place("embedded defaults")
_MOST_COMPARED = 20_000  # pairs of words, for "did you mean"


def find(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """The file to load: `explicit`, `$OTELHEALTH_CONFIG`, `otelhealth.{yaml,yml,toml}` in `cwd`; None: the defaults."""
    if explicit is not None:
        return explicit
    if named := environ.get("OTELHEALTH_CONFIG"):
        with suppress(RuntimeError):  # no home is known: the file is then named as it was written, and not found
            return Path(named).expanduser()
        return Path(named)
    return next((cwd / name for name in NAMES if (cwd / name).is_file()), None)


def load(file: Path | None, environ: Mapping[str, str], sources: Sources | None = None) -> Config:
    """The configuration of `file` (None: the embedded defaults, checks of this host) with the environment above it.

    Raises ConfigError with every problem. `sources` is told of all files, even those of a refused configuration.
    """
    sources = sources if sources is not None else Sources()
    try:
        return _loaded(file, environ, sources)
    except ConfigError as error:
        if all(problem.line is not None or not problem.file.endswith(TOML) for problem in error.problems):
            raise
    return _loaded(file, environ, sources, placed=True)


def _loaded(file: Path | None, environ: Mapping[str, str], sources: Sources, *, placed: bool = False) -> Config:
    gatherer = Gatherer(environ, sources, placed=placed)
    with _without_collector():
        root = gatherer.read(file) if file is not None else Node({}, EMBEDDED)
        return _judged(root, environ, file, gatherer.problems, gatherer.order, gatherer.given)


def from_mapping(data: Mapping[str, Any], environ: Mapping[str, str]) -> Config:
    """The configuration a program gives as plain data, of the same shape as a file; checks may be Checks already.

    Relative paths start from the working directory. Raises ConfigError with every problem.
    """
    root = tree(data, Place("configuration"))
    expander = Expander(environ, Path.cwd(), Sources().opens)
    return _judged(root, environ, None, expand(root, expander), [], expander.given)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Python's cycle collector would look through a growing tree again and again: a third of the time without it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _judged(  # noqa: PLR0913, PLR0917 - what was read, part by part
    root: Node,
    environ: Mapping[str, str],
    file: Path | None,
    problems: list[Problem],
    order: list[str],
    given: list[Given],
) -> Config:
    """Lay the environment over the tree, and make a Config of both."""
    if "checks" not in root.value:
        root.value["checks"] = tree(HOST_CHECKS, EMBEDDED)
    assembler = Assembler(root, file.parent if file is not None else Path.cwd())
    with comparing_at_most(_MOST_COMPARED):
        problems += environment.apply(root, environ, FIELDS, given)
        config = assembler.config(file, given)
    problems += assembler.problems
    if problems or config is None:
        raise ConfigError(_in_order(problems, order))
    return config


def _in_order(problems: list[Problem], files: list[str]) -> list[Problem]:
    """As a person reads: file by file, from the top; the environment last."""
    rank = {name: number for number, name in enumerate(files)}
    return sorted(
        dict.fromkeys(problems),
        key=lambda each: (rank.get(each.file, len(rank)), each.line or 0, each.column or 0),
    )
