"""otelhealth: the health agent for OpenTelemetry users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelhealth.version import __version__

if TYPE_CHECKING:
    from otelhealth.kinds.python import check

__all__ = ["__version__", "check"]


def __getattr__(name: str) -> Any:
    """Imported when asked for: `otelhealth probe` needs the standard library only."""
    if name == "check":
        from otelhealth.kinds.python import check  # noqa: PLC0415 - lazily, see above

        return check
    raise AttributeError(f"module 'otelhealth' has no attribute {name!r}")
