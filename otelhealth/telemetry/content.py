"""What is inside of OTLP requests and responses, protobuf or JSON, as the spool asks: items, halves, refusals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from otelhealth.redaction import Redactor
from otelhealth.spool import Letter, SignalName
from otelhealth.telemetry.fields import BYTES, Data, Field, Message, TooLongError, Walk
from otelhealth.telemetry.wire import field

# From the request down to its items: the fields that repeat, by number and by their names in JSON.
_DATA = (5, 7, 9, 10, 11)
_DATA_NAMES = ("gauge", "sum", "histogram", "exponentialHistogram", "summary")
_NUMBERS: dict[SignalName, Sequence[tuple[int, ...]]] = {
    "traces": ((1,), (2,), (2,)),
    "metrics": ((1,), (2,), (2,), _DATA, (1,)),
    "logs": ((1,), (2,), (2,)),
}
JSON_NAMES: dict[SignalName, Sequence[tuple[str, ...]]] = {
    "traces": (("resourceSpans",), ("scopeSpans",), ("spans",)),
    "metrics": (("resourceMetrics",), ("scopeMetrics",), ("metrics",), _DATA_NAMES, ("dataPoints",)),
    "logs": (("resourceLogs",), ("scopeLogs",), ("logRecords",)),
}
_REJECTED = ("rejectedSpans", "rejectedDataPoints", "rejectedLogRecords")
_UNREADABLE = (ValueError, IndexError, TypeError, AttributeError, OverflowError, RecursionError, TooLongError)
_STEPS = 1_000  # fields of a response that are looked at


class OtlpContent:
    """See `spool.Content`. What a receiver says passes `redact`: it may repeat the credentials it was sent."""

    def __init__(self, redact: Redactor | None = None) -> None:
        self._redact = Redactor() if redact is None else redact

    def count(self, letter: Letter) -> int:
        try:
            body = letter.plain().body
            if is_json(letter.content_type):
                return _count_json(json.loads(body), JSON_NAMES[letter.signal])
            return _count(body, _NUMBERS[letter.signal])
        except _UNREADABLE:
            return 1

    def halves(self, letter: Letter) -> tuple[Letter, ...]:
        try:
            plain = letter.plain()
            if is_json(letter.content_type):
                parts = [
                    json.dumps(half).encode() for half in _halve_json(json.loads(plain.body), JSON_NAMES[letter.signal])
                ]
            else:
                parts = list(_halve(plain.body, _NUMBERS[letter.signal]))
        except _UNREADABLE:
            return ()
        letters = (plain._replace(body=part, items=0) for part in parts)
        counted = (half._replace(items=self.count(half)) for half in letters)
        return tuple(half.packed() if letter.content_encoding else half for half in counted)

    def rejected(self, content_type: str, response: bytes) -> tuple[int, str]:
        count, said = self._rejected(content_type, response)
        return count, self._redact(said)

    def _rejected(self, content_type: str, response: bytes) -> tuple[int, str]:
        if not is_json(content_type):
            return rejected(response)
        try:
            partial = json.loads(response).get("partialSuccess") or {}
            count = max(int(partial.get(name, 0)) for name in _REJECTED)
            return max(0, count), str(partial.get("errorMessage", ""))
        except _UNREADABLE:
            return 0, ""

    def reason(self, content_type: str, response: bytes) -> str:
        """Of a google.rpc.Status, which OTLP answers to a bad request; or of a short plain text."""
        return self._redact(self._reason(content_type, response))

    def _reason(self, content_type: str, response: bytes) -> str:
        try:
            if is_json(content_type):
                return str(json.loads(response).get("message", ""))
            if content_type.startswith("text/plain"):
                return response.decode(errors="replace").strip()
            return Message(Walk(_STEPS), response).text(2)
        except _UNREADABLE:
            return ""


def is_json(content_type: str) -> bool:
    return content_type.lower().startswith("application/json")


def rejected(response: bytes) -> tuple[int, str]:
    """(items, reason) of a partial success in an Export*ServiceResponse; (0, "") where all was taken."""
    walk = Walk(_STEPS)
    try:
        partial = Message(walk, Message(walk, response).message(1))
        return partial.integer(1), partial.text(2)
    except (ValueError, TooLongError):
        return 0, ""


def _fields(data: Data) -> Iterator[Field]:
    """All of them: none is shorter than two bytes."""
    return Walk(len(data)).fields(data)


def _count(data: Data, path: Sequence[tuple[int, ...]]) -> int:
    inside = [value for number, kind, value in _fields(data) if number in path[0] and kind == BYTES]
    return len(inside) if len(path) == 1 else sum(_count(part, path[1:]) for part in inside)


def _halve(data: Data, path: Sequence[tuple[int, ...]]) -> Iterable[bytes]:
    """Two messages that together hold what this one does; none where it holds a single item."""
    found = list(_fields(data))
    parts = [each for each in found if each[0] in path[0] and each[1] == BYTES]
    rest = b"".join(field(*each) for each in found if each[0] not in path[0])
    if len(parts) > 1:
        middle = len(parts) // 2
        for some in (parts[:middle], parts[middle:]):
            yield rest + b"".join(field(*part) for part in some)
    elif parts and len(path) > 1:
        [(number, kind, part)] = parts
        for half in _halve(part, path[1:]):
            yield rest + field(number, kind, half)


def _count_json(data: Any, path: Sequence[tuple[str, ...]]) -> int:
    if len(path) == 1:
        return len(data.get(path[0][0], ()))
    return sum(_count_json(part, path[1:]) for name in path[0] for part in _listed(data.get(name)))


def _halve_json(data: Any, path: Sequence[tuple[str, ...]]) -> Iterable[Any]:
    for name in path[0]:
        parts = _listed(data.get(name))
        if len(parts) > 1:
            middle = len(parts) // 2
            yield data | {name: parts[:middle]}
            yield data | {name: parts[middle:]}
        elif parts and len(path) > 1:
            for half in _halve_json(parts[0], path[1:]):
                yield data | {name: [half] if isinstance(data[name], list) else half}


def _listed(value: Any) -> list[Any]:
    """A metric's data is one message, all else is a list of them."""
    return value if isinstance(value, list) else [] if value is None else [value]
