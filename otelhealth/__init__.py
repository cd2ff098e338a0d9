"""otelhealth: the health agent for OpenTelemetry users."""

from otelhealth.version import __version__

__all__ = ["__version__"]
