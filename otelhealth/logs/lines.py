"""A log record as a line: text for people, JSON for Fluent Bit, Vector, Filebeat and the like."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from otelhealth.errors import UNFIT
from otelhealth.logs.record import STACK, attributes, cut, made_in, message, severity, stack_of
from otelhealth.redaction import Redactor
from otelhealth.telemetry.resource import resource_attributes

_ESCAPES = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_BARE = (",", ":")
_MOST = 30_000  # characters of a line; Fluent Bit's tail skips a longer one than 32 kB
_SHORTER = ((1_000, 32), (500, 0))  # characters of a text and attributes, where a line would be longer


class TextFormatter(logging.Formatter):
    """`TIME LEVEL LOGGER: MESSAGE`, one line whatever the message holds; a traceback follows it, indented."""

    def __init__(self, redact: Redactor | None = None) -> None:
        super().__init__()
        self._redact = Redactor() if redact is None else redact

    def format(self, record: logging.LogRecord) -> str:
        head = f"{self.formatTime(record)} {record.levelname:<7} {record.name}: "
        told = escaped(head + message(record, self._redact))
        stack = stack_of(record, self._redact)
        return "\n    ".join((told, *map(escaped, stack.splitlines()))) if stack else told


class JsonFormatter(logging.Formatter):
    """One object a line, of the log data model's fields; docs/logs.md names those that stay as they are.

    `resource` are the attributes that stand on each line; without it those of OTEL_RESOURCE_ATTRIBUTES and
    OTEL_SERVICE_NAME. Usable in any program: `{"()": "otelhealth.logs.JsonFormatter"}` in `logging.config`.
    """

    def __init__(self, resource: Mapping[str, str] | None = None, redact: Redactor | None = None) -> None:
        super().__init__()
        self._redact = Redactor() if redact is None else redact
        told = resource_attributes() if resource is None else resource
        of_service = {key: value for key, value in told.items() if not key.startswith("telemetry.")}
        self._tail = f',"resource":{json.dumps(of_service, separators=_BARE)}}}'

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "timestamp": f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
            "level": severity(record).text,
            "logger": record.name[:200],
            "message": message(record, self._redact),
        }
        if made := made_in(record):
            fields |= {"trace_id": made.trace_id, "span_id": made.span_id}
            fields |= {} if made.flags is None else {"trace_flags": f"{made.flags:02x}"}
        fields["attributes"] = attributes(record, self._redact)
        text = _encoded(fields)
        for most, number in _SHORTER:
            if len(text) <= _MOST:
                break
            text = _encoded(_shortened(fields, most, number))
        return text[:-1] + self._tail


def escaped(text: str) -> str:
    """`text` as one line."""
    return text if text.isprintable() else UNFIT.sub(lambda found: "".join(map(_escaped, found[0])), text)


def _escaped(character: str) -> str:
    code = ord(character)
    return _ESCAPES.get(character) or (f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}")


def _encoded(fields: Mapping[str, Any]) -> str:
    """ASCII, so that no reader and no locale can stumble over it; a lone surrogate is none of Unicode's characters."""
    return json.dumps(_sound(fields), allow_nan=False, separators=_BARE)


def _sound(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_sound(key): _sound(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_sound(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _shortened(fields: Mapping[str, Any], most: int, number: int) -> dict[str, Any]:
    told = fields["attributes"]
    kept = {key: cut(value, most) for key, value in told.items() if isinstance(value, str) and key != STACK}
    kept = dict(list(kept.items())[:number])
    if STACK in told:
        kept[STACK] = cut(told[STACK], 2 * most)
    return {**fields, "message": cut(fields["message"], most), "attributes": kept}
