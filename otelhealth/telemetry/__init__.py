"""What leaves the agent as OpenTelemetry, and the performance figures. The only room that knows the SDK."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otelhealth.telemetry.resource import Identity
    from otelhealth.telemetry.settings import TelemetrySettings
    from otelhealth.telemetry.setup import Telemetry

__all__ = ["Identity", "Telemetry", "TelemetrySettings"]

_HOMES = {"Identity": "resource", "Telemetry": "setup", "TelemetrySettings": "settings"}


def __getattr__(name: str) -> Any:
    """Imported when asked for: a program that is instrumented needs the detector alone, and has no agent."""
    if name in _HOMES:
        return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
