"""What a log record tells, in OpenTelemetry's words: severity, the span it was made in, attributes. Bounded."""

from __future__ import annotations

import logging
import traceback
from typing import Any, NamedTuple

from opentelemetry import trace

from otelhealth.errors import redacted
from otelhealth.plain import line, plain
from otelhealth.redaction import Redactor
from otelhealth.telemetry.logs import ERROR, INFO, WARN, Severity
from otelhealth.telemetry.tracing import exception_type

STACK = "exception.stacktrace"
_CODE_STACK = "code.stacktrace"  # where there is no exception
_MESSAGE, _STACK, _TEXT = 8_000, 8_000, 2_000  # characters
_ATTRIBUTES = 64
_SEVERITIES = ((50, Severity(21, "FATAL")), (40, ERROR), (30, WARN), (20, INFO), (10, Severity(5, "DEBUG")))
_TRACE_ID, _SPAN_ID, _SAMPLED = "trace_id", "span_id", "trace_sampled"
# What opentelemetry-instrumentation-logging leaves on a record, also where another thread formats it.
_INSTRUMENTED = ("otelTraceID", "otelSpanID", "otelTraceSampled", "otelServiceName")
_OWN = frozenset(
    {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", _TRACE_ID, _SPAN_ID, _SAMPLED, *_INSTRUMENTED}
)


class Made(NamedTuple):
    """The span that a record was made in: ids in hex; flags where they are known."""

    trace_id: str
    span_id: str
    flags: int | None


def severity(record: logging.LogRecord) -> Severity:
    """As the log data model tells Python's levels."""
    return next((found for level, found in _SEVERITIES if record.levelno >= level), Severity(1, "TRACE"))


def message(record: logging.LogRecord, redact: Redactor) -> str:
    """Its text, as it was meant: line breaks and all. Raises what its arguments raise when they become text."""
    return cut(redact(redacted(record.getMessage())), _MESSAGE)


def made_in(record: logging.LogRecord) -> Made | None:
    """The span that the record names itself, else the current one."""
    told = vars(record)
    for trace_id, span_id, sampled in ((_TRACE_ID, _SPAN_ID, _SAMPLED), _INSTRUMENTED[:3]):
        found = told.get(trace_id)
        if isinstance(found, str) and len(found) == 32 and found.strip("0"):
            flags = told.get(sampled)
            return Made(found, str(told.get(span_id) or ""), None if flags is None else int(bool(flags)))
    context = trace.get_current_span().get_span_context()
    if not context.is_valid:
        return None
    return Made(f"{context.trace_id:032x}", f"{context.span_id:016x}", int(context.trace_flags))


def attributes(record: logging.LogRecord, redact: Redactor) -> dict[str, Any]:
    """Its `extra`, where in the code it was made, and its exception, by the semantic conventions' names."""
    told: dict[str, Any] = {
        "code.file.path": record.pathname,
        "code.function.name": record.funcName,
        "code.line.number": record.lineno,
    }
    for key, value in list(vars(record).items()):
        if key not in _OWN and key not in (STACK, _CODE_STACK) and len(told) < _ATTRIBUTES:
            told[line(key, 200)] = _attribute(value, redact)
    return told | _exception(record, redact)


def stack_of(record: logging.LogRecord, redact: Redactor) -> str:
    """The traceback of its exception, or the stack that it brings; "" without one."""
    if record.exc_info and record.exc_info[1] is not None:
        told = "".join(traceback.format_exception(*record.exc_info))
    else:
        extra = vars(record)
        told = str(extra.get(STACK) or extra.get(_CODE_STACK) or record.exc_text or record.stack_info or "")
    return cut(redact(redacted(told)), _STACK)


def cut(text: str, most: int) -> str:
    """At most about so many characters: the begin and, as long, the end, where a traceback says what happened."""
    if len(text) <= most:
        return text
    return f"{text[: most // 2]}... ({len(text) - most} more characters) ...{text[-most // 2 :]}"


def _attribute(value: object, redact: Redactor) -> Any:
    if isinstance(value, str):
        return cut(redact(value), _TEXT)
    return redact.value(plain(value))


def _exception(record: logging.LogRecord, redact: Redactor) -> dict[str, Any]:
    stack = stack_of(record, redact)
    error = record.exc_info[1] if record.exc_info else None
    if error is None:
        brought = vars(record).get(STACK) or record.exc_text
        return {STACK if brought else _CODE_STACK: stack} if stack else {}
    said = "".join(traceback.format_exception_only(error)).partition(": ")[2].strip()
    return {
        "exception.type": exception_type(error),
        "exception.message": cut(redact(redacted(said)), _TEXT),
        STACK: stack,
    }
