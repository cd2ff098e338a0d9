"""Where an application's spans and figures go: to its own providers where it has them, else to the agent's."""

from __future__ import annotations

import os
from typing import NamedTuple

from opentelemetry import _logs, metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from opentelemetry.util.types import Attributes

from otelhealth.inside.others import is_unset
from otelhealth.telemetry import Telemetry
from otelhealth.telemetry.lazy import LazyLoggers, LazyMeters, LazyTracers

_current: list[Telemetry] = []  # of the application started last; what the global providers lead to


class Providers(NamedTuple):
    """`read_back`: the figures come to the agent by themselves, for the meters are its own."""

    tracers: TracerProvider
    meters: MeterProvider
    read_back: bool


def provide(telemetry: Telemetry) -> Providers:
    """The providers for the application; the process's are set to the agent's where nobody set them."""
    _current[:] = [telemetry]
    if is_unset(trace.get_tracer_provider()):
        trace.set_tracer_provider(LazyTracers(lambda: _current[0].tracer_provider))
    if is_unset(metrics.get_meter_provider()):
        metrics.set_meter_provider(LazyMeters(lambda: _current[0].meter_provider))
    if is_unset(_logs.get_logger_provider()):
        _logs.set_logger_provider(LazyLoggers(lambda: _current[0].logger_provider))
    tracers, meters = trace.get_tracer_provider(), metrics.get_meter_provider()
    if isinstance(tracers, LazyTracers):
        tracers = _own_tracers(telemetry)
    if isinstance(meters, LazyMeters):
        return Providers(tracers, telemetry.meter_provider, read_back=True)
    return Providers(tracers, meters, read_back=False)


def application_has_its_own() -> bool:
    """Whether the application, not an agent before this one, set providers."""
    providers = trace.get_tracer_provider(), metrics.get_meter_provider()
    return not all(is_unset(each) or isinstance(each, (LazyTracers, LazyMeters)) for each in providers)


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
