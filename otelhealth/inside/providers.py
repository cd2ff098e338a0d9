"""Where an application's spans and figures go: to its own providers where it has them, else to the agent's."""

from __future__ import annotations

import os
from dataclasses import dataclass

from opentelemetry import _logs, metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from opentelemetry.util.types import Attributes

from otelhealth.inside.requests import Observe
from otelhealth.telemetry import Telemetry
from otelhealth.telemetry.lazy import LazyLoggers, LazyMeters, LazyTracers
from otelhealth.telemetry.windows import APPLICATION

_DEFERRED = {"ProxyTracerProvider", "_ProxyMeterProvider", "ProxyLoggerProvider"}  # the API's, until one is set
_current: list[Telemetry] = []  # of the application started last; what the global providers lead to


@dataclass(frozen=True, slots=True)
class Providers:
    """`observe` is told of each request where the figures cannot be read back."""

    tracers: TracerProvider
    meters: MeterProvider
    observe: Observe | None


def provide(telemetry: Telemetry) -> Providers:
    """The providers for the application; the process's are set to the agent's where nobody set them."""
    _current[:] = [telemetry]
    if _unset(trace.get_tracer_provider()):
        trace.set_tracer_provider(LazyTracers(lambda: _current[0].tracer_provider))
    if _unset(metrics.get_meter_provider()):
        metrics.set_meter_provider(LazyMeters(lambda: _current[0].meter_provider))
    if _unset(_logs.get_logger_provider()):
        _logs.set_logger_provider(LazyLoggers(lambda: _current[0].logger_provider))
    tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
    if isinstance(tracers, LazyTracers):
        tracers = _own_tracers(telemetry)
    if isinstance(meters, LazyMeters):
        return Providers(tracers, telemetry.meter_provider, None)
    return Providers(tracers, meters, lambda took, failed: telemetry.windows.add(APPLICATION, took, failed))


def _unset(provider: object) -> bool:
    """The API does not tell; its deferred providers are known by their names."""
    return type(provider).__name__ in _DEFERRED and type(provider).__module__.startswith("opentelemetry.")


def _own_tracers(telemetry: Telemetry) -> TracerProvider:
    """The agent's own tracer is five times cheaper than the SDK's, and knows no sampler."""
    if os.environ.get("OTEL_TRACES_SAMPLER"):
        return telemetry.tracer_provider
    return _Tracers(telemetry.tracer)


class _Tracers(TracerProvider):
    def __init__(self, tracer: trace.Tracer) -> None:
        self._tracer = tracer

    def get_tracer(
        self,
        instrumenting_module_name: str,  # noqa: ARG002 - of the API
        instrumenting_library_version: str | None = None,  # noqa: ARG002 - of the API
        schema_url: str | None = None,  # noqa: ARG002 - of the API
        attributes: Attributes = None,  # noqa: ARG002 - of the API
    ) -> trace.Tracer:
        return self._tracer
