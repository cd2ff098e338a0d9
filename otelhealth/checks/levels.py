"""Ranges of measurements: the second act, after the probe acquired and before the sentence presents."""

import math
import operator
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, Self

from pydantic import Field, field_validator

from otelhealth.model import CheckResult, Measurement, Status
from otelhealth.settings import Settings
from otelhealth.units import parse_duration, parse_size, quantity_text

RANK = {Status.PASS: 0, Status.WARN: 1, Status.UNKNOWN: 2, Status.FAIL: 3}

DURATION = "duration"  # of the run: a measurement that every kind has

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}
_RANGE = re.compile(r"\s*(>=|<=|==|!=|>|<)\s*(\S.*?)\s*")


def _number(text: str) -> tuple[float, str]:
    """A bound and its unit: a share (`85%`: 1), a duration (s), a size (By), a plain number ("")."""
    if text.endswith("%"):
        return float(text[:-1]) / 100, "1"
    try:
        number = float(text)
    except ValueError:
        pass
    else:
        if math.isfinite(number):
            return number, ""
        raise ValueError(text)
    try:
        return parse_duration(text), "s"
    except ValueError:
        return float(parse_size(text)), "By"


class Range(NamedTuple):
    """A comparison such as `> 85%`, `>= 1s`, `< 200MB`, `!= 0`: the values that mean trouble."""

    text: str
    symbol: str
    bound: float
    unit: str = ""  # that the bound was written in; "" for a plain number

    @classmethod
    def parse(cls, text: object) -> Self:
        """Raises ValueError with the remedy for anything that is not a comparison."""
        match = _RANGE.fullmatch(text) if isinstance(text, str) else None
        try:
            if match:
                return cls(str(text).strip(), match[1], *_number(match[2]))
        except ValueError:
            pass
        raise ValueError(f"{text!r} is not a range; write one such as '> 85%', '>= 1s', '< 200MB'")

    def holds(self, value: float) -> bool:
        return _COMPARE[self.symbol](value, self.bound)


class Level(Settings):
    """The ranges of one measurement."""

    warn: str | None = Field(None, description="A value in this range makes the run `warn`, such as `> 85%`.")
    fail: str | None = Field(None, description="A value in this range makes the run `fail`.")

    @field_validator("warn", "fail")
    @classmethod
    def _parses(cls, value: str | None) -> str | None:
        if value is not None:
            Range.parse(value)
        return value

    @property
    def of_infinity(self) -> Status:
        """What it says of a value above all bounds, such as the age of what is not there."""
        for status, text in ((Status.FAIL, self.fail), (Status.WARN, self.warn)):
            if text is not None and Range.parse(text).holds(math.inf):
                return status
        return Status.PASS

    def strange_unit(self, unit: str) -> str | None:
        """The first range that is written in another unit than the measurement's own."""
        ranges = (Range.parse(text) for text in (self.warn, self.fail) if text is not None)
        return next((limit.text for limit in ranges if limit.unit not in ("", unit)), None)


# By measurement; `duration` (s) is there for every kind. `utilization[/var]`, the name in a record, stands for that one
# alone and goes before `utilization`.
Levels = dict[str, Level]
Judge = Callable[[Measurement], tuple[Status, str]]


class LevelJudge:
    """The levels of one check, parsed once; a user's level replaces the kind's default for that measurement.

    A level of a measurement that is not `declared` speaks of a column or figure of the user's own: it must be there.
    """

    __slots__ = ("_names", "_own", "_ranges")

    def __init__(
        self, levels: Levels, defaults: Mapping[str, Mapping[str, str]], declared: Collection[str] | None = None
    ) -> None:
        chosen: dict[str, Mapping[str, Any]] = dict(defaults)
        chosen |= {name: level.model_dump(exclude_none=True) for name, level in levels.items()}
        self._ranges: dict[str, tuple[tuple[Status, Range], ...]] = {
            name: tuple(
                (status, Range.parse(level[status])) for status in (Status.FAIL, Status.WARN) if status in level
            )
            for name, level in chosen.items()
        }
        self._names = {*self._ranges, *(name.partition("[")[0] for name in self._ranges)}
        known = levels if declared is None else {*declared, DURATION}
        self._own = [name for name in levels if name not in known and name.partition("[")[0] not in known]

    def judge(self, result: CheckResult, duration: float) -> CheckResult:
        """`result` with each measurement's status, the worst of all as its own, and the sentence that names it."""
        if not self._ranges:
            return result
        worst, sentence = result.status, ""
        marked: dict[int, Measurement] = {}
        for index, measurement in enumerate(result.measurements):
            if measurement.name not in self._names and measurement.label not in self._ranges:  # most have none
                continue
            status, text = self._of(measurement.name, measurement.key, measurement.value, measurement.unit)
            if status is not Status.PASS:
                marked[index] = measurement._replace(status=status)
            if RANK[status] > RANK[worst]:
                worst, sentence = status, text
        for status, text in (self._of(DURATION, DURATION, duration, "s"), self._lacking(result)):
            if RANK[status] > RANK[worst]:
                worst, sentence = status, text
        if not sentence and not marked:
            return result
        measurements = tuple(marked.get(index, one) for index, one in enumerate(result.measurements))
        if not sentence:
            return result._replace(measurements=measurements)
        message = f"{sentence} ({result.message})" if result.message else sentence
        kind = result.error_type or ("level_unjudged" if worst is Status.UNKNOWN else "level_exceeded")
        return result._replace(status=worst, message=message, error_type=kind, measurements=measurements)

    def _lacking(self, result: CheckResult) -> tuple[Status, str]:
        """Of a level that nothing was measured for: a typo, or a column that is NULL, is no pass."""
        if self._own:
            seen = {text for one in result.measurements for text in (one.name, one.key)}
            if lacking := [name for name in self._own if name not in seen]:
                return Status.UNKNOWN, f"there is no {lacking[0]} to be judged by its level"
        return Status.PASS, ""

    def _of(self, name: str, key: str, value: float, unit: str) -> tuple[Status, str]:
        for status, limit in self._ranges.get(key) or self._ranges.get(name, ()):
            if math.isnan(value):
                return Status.UNKNOWN, f"{key} is no number, and has a level"
            if limit.holds(value):
                return status, f"{key} is {quantity_text(value, unit)}, {status} at {limit.text}"
        return Status.PASS, ""
