"""Users' regular expressions. Each search has a time limit: one that backtracks would hold up the whole agent."""

from __future__ import annotations

import re
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Annotated, AnyStr, Generic

from pydantic import AfterValidator, Field

from otelhealth.checks.secret import SENSITIVE
from otelhealth.errors import OtelHealthError
from otelhealth.units import duration_text

PATIENCE = 0.1  # s


def _parsed(text: str) -> str:
    """`text`, if it is a regular expression; raises ValueError with the place that is wrong."""
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text[:60]!r} is not a regular expression: {error}") from error
    _engine()
    return text


@cache
def _engine() -> ModuleType:
    """Loaded when the first expression is configured."""
    return import_module("regex")


Pattern = Annotated[str, Field(max_length=2000), AfterValidator(_parsed), SENSITIVE]


class Search(Generic[AnyStr]):
    """An expression of Python's `re`, searched by the `regex` library, which can be stopped."""

    __slots__ = ("_compiled", "text")

    def __init__(self, text: AnyStr) -> None:
        self.text: AnyStr = text
        self._compiled = _engine().compile(text)

    def end(self, where: AnyStr) -> int | None:
        """Where the first match ends; None without one. Raises OtelHealthError where it takes too long."""
        try:
            found = self._compiled.search(where, timeout=PATIENCE)
        except TimeoutError as error:
            raise OtelHealthError(
                f"the regular expression took longer than {duration_text(PATIENCE)} on this answer",
                "write one that does not backtrack, or lower the limit of what is read",
            ) from error
        return None if found is None else found.end()
