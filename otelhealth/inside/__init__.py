"""The agent inside an ASGI application: its requests traced and measured, its checks in its lifespan, `/health*`."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otelhealth.inside.instrument import instrument
    from otelhealth.inside.middleware import TelemetryMiddleware

__all__ = ["TelemetryMiddleware", "instrument"]

_HOMES = {"TelemetryMiddleware": "middleware", "instrument": "instrument"}


def __getattr__(name: str) -> Any:
    """Imported when asked for: a program that is instrumented from outside holds no agent."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
