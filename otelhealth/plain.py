"""Values of anybody's making as JSON knows them: bounded in length, depth and number."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from otelhealth.errors import one_line

_NAME, _TEXT = 200, 2_000  # characters
_DEPTH, _ITEMS = 6, 200  # of the whole, and of each list or mapping in it


def line(value: object, most: int) -> str:
    """Its text as one printable line of at most `most` characters."""
    text = value if isinstance(value, str) else str(value)
    return text if len(text) <= most and text.isprintable() else one_line(text, most)


def mapping(values: object, depth: int = 1) -> dict[str, Any]:
    """A mapping with all that is in it; raises TypeError for what is none."""
    if not isinstance(values, Mapping):
        raise TypeError(f"details that are a {type(values).__name__}")
    return {line(key, _NAME): plain(value, depth) for key, value in list(values.items())[:_ITEMS]}


def plain(value: object, depth: int = 1) -> Any:
    """As JSON knows it; what lies too deep, or in itself, ends in an ellipsis."""
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else "a number of more than 64 bits"
    if isinstance(value, (Mapping, list, tuple, set, frozenset)):
        if depth >= _DEPTH:
            return "..."
        if isinstance(value, Mapping):
            return mapping(value, depth + 1)
        return [plain(item, depth + 1) for item in list(value)[:_ITEMS]]
    return line(value, _TEXT)


def finite(value: Any) -> Any:
    """JSON knows no NaN and no infinity: None says that there is no number."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
