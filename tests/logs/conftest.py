"""A telemetry that sends to the receiver."""

from tests.telemetry.conftest import opened

__all__ = ["opened"]
