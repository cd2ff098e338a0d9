"""What leaves the agent as OpenTelemetry, and the performance figures. The only room that knows the SDK."""

from otelhealth.telemetry.resource import Identity
from otelhealth.telemetry.settings import TelemetrySettings
from otelhealth.telemetry.setup import Telemetry

__all__ = ["Identity", "Telemetry", "TelemetrySettings"]
