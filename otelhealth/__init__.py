"""otelhealth: the health agent for OpenTelemetry users."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from otelhealth.version import __version__

if TYPE_CHECKING:
    from otelhealth.agent import Agent
    from otelhealth.inside.decorators import monitor_endpoint, monitor_task, trace_call
    from otelhealth.inside.instrument import instrument
    from otelhealth.kinds.python import check

__all__ = ["Agent", "__version__", "check", "instrument", "monitor_endpoint", "monitor_task", "trace_call"]

_HOMES = {
    "Agent": "otelhealth.agent",
    "check": "otelhealth.kinds.python",
    "instrument": "otelhealth.inside.instrument",
    "monitor_endpoint": "otelhealth.inside.decorators",
    "monitor_task": "otelhealth.inside.decorators",
    "trace_call": "otelhealth.inside.decorators",
}


def __getattr__(name: str) -> Any:
    """Imported when asked for: `otelhealth probe` needs the standard library only."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'otelhealth' has no attribute {name!r}")
