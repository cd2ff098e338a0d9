"""Durations, sizes, shares and paths as people write them, and numbers as people read them."""

from __future__ import annotations

import re
from pathlib import Path, PurePath
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, WithJsonSchema

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SIZE_UNITS = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_SIZE_UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40}
_DURATION = re.compile(r"(?:[0-9]{1,15}(?:\.[0-9]{1,15})?(?:ms|s|m|h|d))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
MEMORY = ":memory:"  # SQLite's name for a database without a file
_NUMBER_UNIT = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?)\s*([A-Za-z%]*)")


def parse_duration(text: object) -> float:
    """Seconds from `500ms`, `30s`, `1m30s`, `7d`; raises ValueError for anything else, a bare number too."""
    if isinstance(text, str) and _DURATION.fullmatch(text.strip()):
        return sum(float(number) * _DURATION_UNITS[unit] for number, unit in _DURATION_PART.findall(text))
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        raise ValueError(f"a duration needs a unit; write {text}s or {text}m")
    raise ValueError(f"{text!r} is not a duration; write one such as 500ms, 30s, 5m, 1h, 7d")


def parse_size(text: object) -> int:
    """Bytes from `200MB`, `1GiB`, `4096B`; raises ValueError for anything else, a bare number too."""
    match = _NUMBER_UNIT.fullmatch(text.strip()) if isinstance(text, str) else None
    if match and match[2] in _SIZE_UNITS:
        return round(float(match[1]) * _SIZE_UNITS[match[2]])
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        raise ValueError(f"a size needs a unit; write {text}B or {text}MiB")
    raise ValueError(f"{text!r} is not a size; write one such as 200MB or 1GiB")


def parse_share(text: object) -> float:
    """A ratio 0..1 from `85%` or `0.85`; raises ValueError for anything else."""
    if isinstance(text, str) and (match := _NUMBER_UNIT.fullmatch(text.strip())) and match[2] in ("", "%"):
        text = float(match[1]) / 100 if match[2] else float(match[1])
    if isinstance(text, (int, float)) and not isinstance(text, bool) and 0 <= text <= 1:
        return float(text)
    raise ValueError(f"{text!r} is not a share; write one from 0% to 100%, or from 0 to 1")


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema(
        {"type": "string", "pattern": r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+$", "examples": ["500ms", "30s", "5m"]}
    ),
]
Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema(
        {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?\s*([kKMGT]?B|[KMGT]iB)$", "examples": ["200MB", "1GiB"]}
    ),
]
Share = Annotated[
    float,
    BeforeValidator(parse_share),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": r"^[0-9]+(\.[0-9]+)?%$"},
                {"type": "number", "minimum": 0, "maximum": 1},
            ],
            "examples": ["85%", 0.85],
        }
    ),
]


def _as_text(path: object) -> object:
    return str(path) if isinstance(path, PurePath) else path


def _against_config_file(text: str, info: ValidationInfo) -> str:
    if text == MEMORY:
        return text
    if "\0" in text:
        raise ValueError("a path holds no NUL character; remove it")
    base = info.context.get("base") if isinstance(info.context, dict) else None
    try:
        return str(Path(base or Path.cwd(), Path(text).expanduser()))
    except RuntimeError as error:
        raise ValueError(f"{text!r} names a home directory that is not known; write the full path") from error


# The path of a setting: absolute once validated, a relative one taken from the config file that says it.
LocalPath = Annotated[str, Field(min_length=1), AfterValidator(_against_config_file), BeforeValidator(_as_text)]


def _short(number: float) -> str:
    return f"{number:.3g}" if abs(number) < 999.5 else f"{number:.0f}"


def duration_text(seconds: float) -> str:
    """`0.012` -> `12ms`, `90` -> `1m30s`: at most two units, the way a user writes them."""
    if seconds < 0:
        return f"-{duration_text(-seconds)}"
    if 0 < seconds < 1:
        return f"{_short(seconds * 1000)}ms"
    if seconds < 60:
        return f"{seconds:.3g}s"
    whole = round(seconds)
    for unit, size, smaller, below in (("d", 86400, "h", 3600), ("h", 3600, "m", 60), ("m", 60, "s", 1)):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size}{unit}" + (f"{rest}{smaller}" if rest else "")
    raise AssertionError(seconds)


def size_text(count: float) -> str:
    """`1536` -> `1.5KiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{_short(count)}{unit}"
        count /= 1024
    return f"{_short(count)}TiB"


def quantity_text(value: float, unit: str) -> str:
    """A measurement for a sentence: `1`-shares as percent, `By` in binary units, `s` as a duration.

    What is counted is said by the measurement's name: `{connection}` adds nothing to `connections`.
    """
    if unit == "1":
        return f"{_short(value * 100)}%"
    if unit == "s":
        return duration_text(value)
    counted = re.sub(r"\{[^}]*\}", "", unit)
    if counted.startswith("By"):
        return size_text(value) + counted[2:]
    text = f"{value:.0f}" if float(value).is_integer() or abs(value) >= 10_000 else f"{value:.4g}"
    return f"{text} {counted}" if counted.isalpha() else text + counted
