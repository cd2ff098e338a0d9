"""Providers for the global API that load the SDK when user code asks for its first tracer, meter or logger."""

from __future__ import annotations

from collections.abc import Callable

from opentelemetry import _logs, metrics, trace
from opentelemetry.util.types import Attributes


class LazyTracers(trace.TracerProvider):
    def __init__(self, provider: Callable[[], trace.TracerProvider]) -> None:
        self._provider = provider

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Attributes = None,
    ) -> trace.Tracer:
        return self._provider().get_tracer(
            instrumenting_module_name, instrumenting_library_version, schema_url, attributes
        )


class LazyMeters(metrics.MeterProvider):
    def __init__(self, provider: Callable[[], metrics.MeterProvider]) -> None:
        self._provider = provider

    def get_meter(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Attributes = None
    ) -> metrics.Meter:
        return self._provider().get_meter(name, version, schema_url, attributes)


class LazyLoggers(_logs.LoggerProvider):
    def __init__(self, provider: Callable[[], _logs.LoggerProvider]) -> None:
        self._provider = provider

    def get_logger(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Attributes = None
    ) -> _logs.Logger:
        return self._provider().get_logger(name, version, schema_url, attributes)
