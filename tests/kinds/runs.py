"""Runs a check as the agent does, with the real runner and the real threads, and keeps its memory between runs."""

from __future__ import annotations

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelhealth.checks.base import Check
from otelhealth.clock import SYSTEM, Clock
from otelhealth.engine.runner import Runner
from otelhealth.engine.threads import ThreadLane
from otelhealth.model import CheckResult, Surroundings


class Runs:
    def __init__(self, clock: Clock = SYSTEM, around: Surroundings | None = None) -> None:
        self.exported = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exported))
        self._tracer = provider.get_tracer("tests")
        self._runner = Runner(clock, ThreadLane(clock), around or Surroundings(), self._tracer)

    async def __call__(self, check: Check) -> CheckResult:
        with self._tracer.start_as_current_span("check") as span:
            return await self._runner.run(check, span)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        return self.exported.get_finished_spans()


def figures(result: CheckResult) -> dict[str, float]:
    """The measurements as a record names them."""
    return {measurement.key: measurement.value for measurement in result.measurements}
