"""The agent inside an ASGI application: its requests recorded, its checks in its lifespan, `/health*` on its port."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otelhealth.inside.compose import AgentMiddleware, routes
    from otelhealth.inside.instrument import instrument
    from otelhealth.inside.middleware import TelemetryMiddleware

__all__ = ["AgentMiddleware", "TelemetryMiddleware", "instrument", "routes"]

_HOMES = {
    "AgentMiddleware": "compose",
    "TelemetryMiddleware": "middleware",
    "instrument": "instrument",
    "routes": "compose",
}


def __getattr__(name: str) -> Any:
    """Imported when asked for: a program that is instrumented from outside holds no agent."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
