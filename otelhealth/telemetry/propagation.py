"""The trace that whoever asks for something is in, as W3C Trace Context carries it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import attach, detach
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_PROPAGATOR = TraceContextTextMapPropagator()


def carried() -> dict[str, str]:
    """The headers of the current span's context; none without a span."""
    headers: dict[str, str] = {}
    _PROPAGATOR.inject(headers)
    return headers


@contextmanager
def continued(headers: Mapping[str, str]) -> Iterator[None]:
    """What is done inside belongs to the trace of these headers, but where a span is current already."""
    if trace.get_current_span().get_span_context().is_valid:
        yield
        return
    token = attach(_PROPAGATOR.extract(headers))
    try:
        yield
    finally:
        detach(token)
