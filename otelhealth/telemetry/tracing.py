"""A tracer of the OpenTelemetry API for the agent's own spans: encoded to OTLP the moment they end.

A root and a CLIENT span cost the SDK with its exporter about 115 us of CPU, these a fifth; the export thread has only
to join, compress and send. Spans of user code go through the SDK (sdk.py) and nest under these.
"""

from __future__ import annotations

import random
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from struct import Struct

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.trace.span import TraceState
from opentelemetry.util.types import Attributes, AttributeValue

from otelhealth.clock import Clock
from otelhealth.redaction import Redactor
from otelhealth.telemetry.wire import NANO, attribute, fixed64, integer, message, text, varint

Put = Callable[[bytes], None]
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_UNSAMPLED = TraceFlags(TraceFlags.DEFAULT)
_NO_STATE = TraceState()
_LIMIT = 128  # attributes, events and links of one span, as in the SDK
_KIND = {kind: integer(6, kind.value + 1) for kind in SpanKind}
_IDS = Struct(">BBQQBBQ").pack  # trace id and span id as fields 1 and 2
_PARENT = Struct(">BBQ").pack
_TIMES = Struct("<BQBQ").pack  # start and end as fields 7 and 8
_FLAGS = Struct("<HI").pack  # field 16, fixed32
_HAS_IS_REMOTE, _IS_REMOTE = 0x100, 0x200
_LOW = (1 << 64) - 1


class Span(trace.Span):
    """A span that is exported when it ends. Used by one task at a time."""

    def __init__(  # noqa: PLR0913, PLR0917 - made by the tracer only
        self,
        tracer: Tracer,
        name: str,
        context: SpanContext,
        parent: SpanContext | None,
        kind: SpanKind,
        attributes: Attributes,
        start: int,
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._context = context
        self._parent = parent
        self._kind = kind
        self._attributes: dict[str, AttributeValue] = dict(attributes) if attributes else {}
        self._more: list[bytes] = []  # events and links
        self._start = start
        self._status = b""
        self._ended = False

    def get_span_context(self) -> SpanContext:
        return self._context

    def is_recording(self) -> bool:
        return not self._ended

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        if not self._ended and (len(self._attributes) < _LIMIT or key in self._attributes):
            self._attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        at = self._tracer.now() if timestamp is None else timestamp
        redact = self._tracer.redact
        self._add(11, fixed64(1, at) + text(2, redact(name)) + _encoded(3, redact.value(attributes)))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        ids = message(1, context.trace_id.to_bytes(16, "big")) + message(2, context.span_id.to_bytes(8, "big"))
        self._add(13, ids + _encoded(4, self._tracer.redact.value(attributes)))

    def _add(self, field: int, encoded: bytes) -> None:
        if not self._ended and len(self._more) < _LIMIT:
            self._more.append(message(field, encoded))

    def update_name(self, name: str) -> None:
        if not self._ended:
            self._name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        code = status.status_code if isinstance(status, Status) else status
        told = status.description if isinstance(status, Status) else description
        if self._ended or code is StatusCode.UNSET:
            return
        said = text(2, self._tracer.redact(told)) if told and code is StatusCode.ERROR else b""
        self._status = message(15, said + integer(3, code.value))

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: ARG002 - of the API
    ) -> None:
        told: dict[str, AttributeValue] = {
            "exception.type": exception_type(exception),
            "exception.message": str(exception),
            "exception.stacktrace": "".join(traceback.format_exception(exception)),
        }
        self.add_event("exception", told | dict(attributes or {}), timestamp)

    def end(self, end_time: int | None = None) -> None:
        if not self._ended:
            self._ended = True
            self._conceal(self._tracer.redact)
            self._tracer.put(self._encode(self._tracer.now() if end_time is None else end_time))

    def _conceal(self, redact: Redactor) -> None:
        if redact and not (redact.is_clean((self._name,)) and redact.is_clean(self._attributes.values())):
            self._name, self._attributes = redact(self._name), redact.value(self._attributes)

    def _encode(self, end: int) -> bytes:
        """As field 2 of ScopeSpans."""
        context, parent = self._context, self._parent
        flags = int(context.trace_flags) | _HAS_IS_REMOTE
        parts = [_IDS(0x0A, 16, context.trace_id >> 64, context.trace_id & _LOW, 0x12, 8, context.span_id)]
        if parent is not None:
            parts.append(_PARENT(0x22, 8, parent.span_id))
            if parent.is_remote:
                flags |= _IS_REMOTE
        if context.trace_state:
            parts.append(text(3, context.trace_state.to_header()))
        parts += (text(5, self._name), _KIND[self._kind], _TIMES(0x39, self._start, 0x41, end))
        parts += [attribute(9, key, value) for key, value in self._attributes.items()]
        parts += self._more
        parts += (self._status, _FLAGS(0x0185, flags))
        body = b"".join(parts)
        return b"\x12" + varint(len(body)) + body


class Tracer(trace.Tracer):
    """Makes spans; without a `put` they only carry their ids, so that a run still has a trace id."""

    def __init__(self, put: Put | None, clock: Clock, redact: Redactor | None = None) -> None:
        self.redact = Redactor() if redact is None else redact
        self.put: Put = put or _nowhere
        self.recording = put is not None
        self._clock = clock

    def now(self) -> int:
        """ns since the epoch."""
        return int(self._clock.time() * NANO)

    def start_span(  # noqa: PLR0913, PLR0917 - the API's
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,  # noqa: ARG002 - of use in start_as_current_span only
        set_status_on_exception: bool = True,  # noqa: ARG002 - of the API
    ) -> trace.Span:
        """A child of the span in `context` (the current one where None), else a root."""
        parent: SpanContext | None = trace.get_current_span(context).get_span_context()
        if parent is None or not parent.is_valid:
            parent = None
        made = self._context(parent)
        if not made.trace_flags & TraceFlags.SAMPLED:
            return trace.NonRecordingSpan(made)
        span = Span(self, name, made, parent, kind, attributes, self.now() if start_time is None else start_time)
        for link in links or ():
            span.add_link(link.context, link.attributes)
        return span

    def _context(self, parent: SpanContext | None) -> SpanContext:
        span_id = random.getrandbits(64) or 1
        if parent is None:
            flags = _SAMPLED if self.recording else _UNSAMPLED
            return SpanContext(random.getrandbits(128) or 1, span_id, False, flags, _NO_STATE)
        flags = parent.trace_flags if self.recording else _UNSAMPLED
        return SpanContext(parent.trace_id, span_id, False, flags, parent.trace_state)

    @contextmanager
    def start_as_current_span(  # type: ignore[override] # noqa: PLR0913, PLR0917 - the API's; its decorator is private
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> Iterator[trace.Span]:
        span = self.start_span(name, context, kind, attributes, links, start_time)
        with trace.use_span(span, end_on_exit, record_exception, set_status_on_exception):
            yield span


def exception_type(error: BaseException) -> str:
    """The class as semantic conventions want it: with its module, but for builtins."""
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _nowhere(_: bytes) -> None:
    """Takes spans that nobody wants."""


def _encoded(field: int, attributes: Attributes) -> bytes:
    return b"".join(attribute(field, key, value) for key, value in (attributes or {}).items())
