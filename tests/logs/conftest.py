"""A receiver on loopback, and a telemetry that sends to it."""

from tests.telemetry.conftest import opened, receiver

__all__ = ["opened", "receiver"]
