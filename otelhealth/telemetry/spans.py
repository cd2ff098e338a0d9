"""One root span per run of a check."""

from __future__ import annotations

from opentelemetry.trace import Span, Tracer

from otelhealth.checks.base import Check, mark_failed
from otelhealth.model import CheckResult, Status
from otelhealth.telemetry import names


class Spans:
    """Starts and finishes the span `check {name}`; its CLIENT children are the probes' own."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def start_run(self, check: Check, delay: float) -> Span:
        """A run that starts `delay` seconds after it was due: a root, or below the span that is current."""
        attributes: dict[str, str | int | float] = {
            names.CHECK_NAME: check.name,
            names.CHECK_KIND: check.kind,
            names.CHECK_TIER: int(check.tier),
            names.CHECK_DELAY: delay,
        }
        if check.peer:
            attributes[names.PEER] = check.peer
        return self._tracer.start_span(f"check {check.name}", attributes=attributes)

    def finish_run(self, span: Span, result: CheckResult, state: Status) -> None:
        """End it with the run's result and the check's debounced state."""
        span.set_attribute(names.CHECK_RESULT, result.status.value)
        span.set_attribute(names.CHECK_STATE, state.value)
        if result.attempts > 1:
            span.set_attribute(names.CHECK_ATTEMPTS, result.attempts)
        if result.status in (Status.FAIL, Status.UNKNOWN):
            mark_failed(span, result.error_type or result.status.value)
        span.end()
