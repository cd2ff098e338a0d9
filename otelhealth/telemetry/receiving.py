"""What a user says of the OTLP that is taken from the service: where, and how much of it."""

from pydantic import Field

from otelhealth.address import Listen
from otelhealth.listening import Bounds, Connections, Idle, Listening
from otelhealth.units import Size


class ReceiveLimits(Bounds):
    """What senders, one or all together, may cost."""

    connections: Connections = 500
    rate: int = Field(1000, ge=1, le=1_000_000, description="Requests a second; further ones are told to come again.")
    in_flight: Size = Field(
        64 * 2**20,
        ge=2**20,
        le=2**40,
        description="All bodies together that are on their way in; beyond, the slowest, else further ones, are told to "
        "come again.",
    )
    body_size: Size = Field(
        20 * 2**20, ge=1024, le=2**30, description="Body of one request, as it comes and unpacked; as of a Collector."
    )
    idle: Idle = 120.0


class ReceiveSettings(Listening):
    """A listener for OTLP/HTTP."""

    listen: Listen = Field("127.0.0.1:4318", description="`host:port`, `[::1]:4318`; port 0 takes any free one.")
    limits: ReceiveLimits = Field(default_factory=ReceiveLimits.by_default, description="What senders may cost.")
