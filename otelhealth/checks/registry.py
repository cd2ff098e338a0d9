"""Finds the kinds: each module of `otelhealth/kinds`, and the entry points of the group `otelhealth.kinds`."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from importlib.metadata import entry_points
from typing import Any

from otelhealth.checks.base import Check
from otelhealth.errors import OtelHealthError

PACKAGE = "otelhealth.kinds"
GROUP = "otelhealth.kinds"


def kind_of(check: type[Check]) -> str:
    """The value of its `kind: Literal[...]`."""
    default = check.model_fields["kind"].default
    if not isinstance(default, str):
        raise OtelHealthError(f"{check.__module__}.{check.__name__} has no kind", 'add `kind: Literal["x"] = "x"`')
    return default


def _in_module(name: str) -> dict[str, type[Check]]:
    loaded = importlib.import_module(f"{PACKAGE}.{name}")
    return {
        kind_of(member): member
        for _, member in inspect.getmembers(loaded, inspect.isclass)
        if issubclass(member, Check) and member.__module__ == loaded.__name__ and not inspect.isabstract(member)
    }


@cache
def _modules() -> tuple[str, ...]:
    return tuple(module.name for module in pkgutil.iter_modules(importlib.import_module(PACKAGE).__path__))


def _in_folder() -> dict[str, type[Check]]:
    found: dict[str, type[Check]] = {}
    for name in _modules():
        found |= _in_module(name)
    return found


@lru_cache(1000)
def find_kind(name: str) -> type[Check] | None:
    """The kind of that name. Imports only its own module where it is one of ours: a start need not load them all."""
    found = _in_module(name).get(name) if name in _modules() else None
    return found or all_kinds().get(name)


def as_check(function: Check | Callable[..., Any]) -> Check:
    """The check of a user's function, as the python kind makes it, which is loaded for the first; see there."""
    if isinstance(function, Check):
        return function
    made: Check = importlib.import_module(f"{PACKAGE}.python").as_check(function)
    return made


@cache
def all_kinds() -> Mapping[str, type[Check]]:
    """Every kind by its name, sorted; a third party's kind may not take a name of ours."""
    found = _in_folder()
    for point in entry_points(group=GROUP):
        if point.name in found:
            raise OtelHealthError(f"the entry point {point.value} takes the name of kind {point.name!r}", "rename it")
        try:
            found[point.name] = point.load()
        except Exception as error:
            raise OtelHealthError(
                f"kind {point.name!r} ({point.value}) cannot be loaded: {error}", "repair or remove it"
            ) from error
    return dict(sorted(found.items()))
