"""How a status code and a value of a JSON document are expected: `2xx`, `< 400`, `> 5`, `length > 0`, `exists`."""

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple, Self

from otelhealth.checks.levels import Range

_STATUS_RANGE = re.compile(r"([1-5])xx|([1-5]\d\d)\s*-\s*([1-5]\d\d)", re.IGNORECASE)
_LENGTH = re.compile(r"length\s*((?:>=|<=|==|!=|>|<).+)")
_EQUALS = re.compile(r"(==|!=)\s*(.*)", re.DOTALL)
_SHOWN = 80  # characters of a value that was seen


class StatusRange(NamedTuple):
    """HTTP status codes: `200`, `2xx`, `200-204`, `< 400`."""

    text: str
    first: int
    last: int

    @classmethod
    def parse(cls, value: object) -> Self:
        """Raises ValueError with the forms there are."""
        if isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599:
            return cls(str(value), value, value)
        if isinstance(value, str):
            text = value.strip()
            if re.fullmatch(r"[1-5]\d\d", text):
                return cls(text, int(text), int(text))
            if match := _STATUS_RANGE.fullmatch(text):
                if match[1]:
                    return cls(text, int(match[1]) * 100, int(match[1]) * 100 + 99)
                if int(match[2]) <= int(match[3]):
                    return cls(text, int(match[2]), int(match[3]))
            if match := re.fullmatch(r"<\s*([2-6]00)", text):
                return cls(text, 100, int(match[1]) - 1)
        raise ValueError(f"{value!r} is not an HTTP status; write 200, '2xx', '200-204' or '< 400'")

    def holds(self, status: int) -> bool:
        return self.first <= status <= self.last


class ValueTest(NamedTuple):
    """One expected JSON value: equal to it, or, as a text, `> 5`, `!= x`, `length > 0`, `exists`."""

    text: str
    equal: Any = None
    unequal: str | None = None
    number: Range | None = None
    length: Range | None = None
    exists: bool = False

    @classmethod
    def parse(cls, value: Any) -> "ValueTest":
        """Raises ValueError for a comparison without a usable number."""
        if not isinstance(value, str):
            return cls(json.dumps(value, default=str), equal=value)
        text = value.strip()
        if text == "exists":
            return cls(text, exists=True)
        if match := _LENGTH.fullmatch(text):
            return cls(text, length=Range.parse(match[1]))
        if match := _EQUALS.fullmatch(text):
            return _equality(text, match[1], match[2])
        if text.startswith((">", "<")):
            return cls(text, number=Range.parse(text))
        return cls(json.dumps(value), equal=value)

    def holds(self, seen: Any) -> bool:
        if self.exists:
            return True
        if self.length is not None:
            return isinstance(seen, str | list | dict) and self.length.holds(len(seen))
        if self.number is not None:
            return isinstance(seen, int | float) and not isinstance(seen, bool) and self.number.holds(seen)
        if self.unequal is not None:
            return not _same(seen, self.unequal)
        return _same(seen, self.equal)


def _equality(text: str, symbol: str, operand: str) -> ValueTest:
    try:
        return ValueTest(text, number=Range.parse(text))
    except ValueError:
        return ValueTest(text, unequal=operand) if symbol == "!=" else ValueTest(text, equal=operand)


def _same(seen: Any, wanted: Any) -> bool:
    # In JSON true is not 1, at any depth.
    if isinstance(seen, bool) or isinstance(wanted, bool):
        return seen is wanted
    if isinstance(seen, dict) and isinstance(wanted, dict):
        return seen.keys() == wanted.keys() and all(_same(seen[key], wanted[key]) for key in wanted)
    if isinstance(seen, list) and isinstance(wanted, list | tuple):
        return len(seen) == len(wanted) and all(map(_same, seen, wanted))
    return bool(seen == wanted)


def shown(value: Any) -> str:
    """A value that was seen, for a sentence: short, and never more than a scalar's worth of it."""
    if isinstance(value, list | dict):
        return f"{'a list' if isinstance(value, list) else 'an object'} of {len(value)}"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def any_holds(ranges: Sequence[StatusRange], status: int) -> bool:
    return any(one.holds(status) for one in ranges)
