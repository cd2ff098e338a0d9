"""What a user says of the OTLP that is taken from the service: where, and how much of it."""

from pydantic import Field

from otelhealth.address import Address, Listen
from otelhealth.checks.base import Settings
from otelhealth.units import Duration, Size


class ReceiveLimits(Settings):
    """What senders, one or all together, may cost."""

    connections: int = Field(
        500,
        ge=10,
        le=100_000,
        description="Open connections; at most half of the process's file descriptors are taken. One more closes the "
        "one that has been waiting longest.",
    )
    rate: int = Field(1000, ge=1, le=1_000_000, description="Requests a second; further ones are told to come again.")
    in_flight: Size = Field(
        64 * 2**20,
        ge=2**20,
        le=2**40,
        description="All bodies together that are on their way in; further ones are told to come again.",
    )
    header_size: Size = Field(32_768, ge=1024, le=2**20, description="Request line and headers of one request.")
    header_time: Duration = Field(10.0, gt=0, le=600, description="Within which a request's headers must have come.")
    body_size: Size = Field(
        20 * 2**20, ge=1024, le=2**30, description="Body of one request, as it comes and unpacked; as of a Collector."
    )
    body_time: Duration = Field(10.0, gt=0, le=600, description="Within which a request's body must have come.")
    write_time: Duration = Field(30.0, gt=0, le=600, description="A sender that does not read for this long is cut.")
    idle: Duration = Field(
        120.0, gt=0, le=3600, description="A connection on which nothing comes for this long is closed."
    )


class ReceiveSettings(Settings):
    """A listener for OTLP/HTTP."""

    listen: Listen = Field("127.0.0.1:4318", description="`host:port`, `[::1]:4318`; port 0 takes any free one.")
    limits: ReceiveLimits = Field(default_factory=ReceiveLimits.by_default, description="What senders may cost.")

    @property
    def address(self) -> Address:
        return Address.parse(self.listen)
