"""Providers for the global API that load the SDK when user code asks for its first tracer, meter or logger."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from opentelemetry import _logs, metrics, trace
from opentelemetry.util.types import Attributes

P = TypeVar("P")


class _Lazy(Generic[P]):
    """What the API does not know, `force_flush` and `add_span_processor`, is asked of the SDK's own."""

    def __init__(self, provider: Callable[[], P]) -> None:
        self._provider = provider

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._provider(), name)


class LazyTracers(_Lazy[trace.TracerProvider], trace.TracerProvider):
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


class LazyMeters(_Lazy[metrics.MeterProvider], metrics.MeterProvider):
    def get_meter(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Attributes = None
    ) -> metrics.Meter:
        return self._provider().get_meter(name, version, schema_url, attributes)


class LazyLoggers(_Lazy[_logs.LoggerProvider], _logs.LoggerProvider):
    def get_logger(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Attributes = None
    ) -> _logs.Logger:
        return self._provider().get_logger(name, version, schema_url, attributes)
