"""The agent inside an ASGI application: its requests traced and measured, its checks in its lifespan, `/health*`."""

from otelhealth.inside.instrument import instrument
from otelhealth.inside.middleware import TelemetryMiddleware

__all__ = ["TelemetryMiddleware", "instrument"]
