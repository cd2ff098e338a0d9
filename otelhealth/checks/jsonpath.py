"""Paths into a JSON document: `$.a.b[0]['x y'][-1]`. Only these steps; wildcards, filters and `..` are refused."""

import re
from typing import Any, NamedTuple, Self

from otelhealth.errors import OtelHealthError

_STEP = re.compile(r"""\.([^\W\d][\w-]*)|\[(-?\d{1,9})\]|\['([^'\]]*)'\]|\["([^"\]]*)"\]""")
_LONGEST = 500


class PathNotFoundError(OtelHealthError):
    """The document has nothing there; the sentence says how far the path leads."""


class JsonPath(NamedTuple):
    """A parsed path; `steps` are keys (str) and positions (int)."""

    text: str
    steps: tuple[str | int, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError with the place that is not understood."""
        if not text.startswith("$") or len(text) > _LONGEST:
            raise ValueError(f"{text[:60]!r} is not a JSON path; write one such as $.items[0].name")
        steps: list[str | int] = []
        position = 1
        while position < len(text):
            match = _STEP.match(text, position)
            if match is None:
                raise ValueError(
                    f"{text!r}: {text[position : position + 20]!r} is not understood; "
                    "a path has steps .name, [0] and ['any name'] only"
                )
            name, index, single, double = match.groups()
            steps.append(int(index) if index is not None else next(s for s in (name, single, double) if s is not None))
            position = match.end()
        return cls(text, tuple(steps))

    def find(self, document: Any) -> Any:
        """What stands there; raises PathNotFoundError."""
        value = document
        for depth, step in enumerate(self.steps):
            try:
                value = _step(value, step)
            except (KeyError, IndexError, TypeError) as error:
                raise PathNotFoundError(f"{_render(self.steps[: depth + 1])} is not there") from error
        return value

    def __str__(self) -> str:
        return self.text


def _step(value: Any, step: str | int) -> Any:
    if isinstance(step, int) and isinstance(value, list):
        return value[step]
    if isinstance(step, str) and isinstance(value, dict):
        return value[step]
    raise TypeError(type(value).__name__)


def _render(steps: tuple[str | int, ...]) -> str:
    return "$" + "".join(f"[{step!r}]" if not _is_plain(step) else f".{step}" for step in steps)


def _is_plain(step: str | int) -> bool:
    return isinstance(step, str) and re.fullmatch(r"[^\W\d][\w-]*", step) is not None
