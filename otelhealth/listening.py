"""Where a server of ours listens, and what its clients may cost: what a user says of each of them."""

from typing import Annotated

from pydantic import Field

from otelhealth.address import Address, Listen
from otelhealth.settings import Settings
from otelhealth.units import Duration, Size

Connections = Annotated[
    int,
    Field(
        ge=10,
        le=100_000,
        description="Open connections; at most a quarter of the process's file descriptors are taken. One more "
        "closes the one that has been waiting longest.",
    ),
]
Idle = Annotated[
    Duration, Field(gt=0, le=3600, description="A connection on which nothing comes for this long is closed.")
]


class Bounds(Settings):
    """What one client, or all of them together, may cost."""

    connections: Connections = 1000
    header_size: Size = Field(32_768, ge=1024, le=2**20, description="Request line and headers of one request.")
    header_time: Duration = Field(10.0, gt=0, le=600, description="Within which a request's headers must have come.")
    body_size: Size = Field(65_536, ge=0, le=2**26, description="Body of one request.")
    body_time: Duration = Field(10.0, gt=0, le=600, description="Within which a request's body must have come.")
    write_time: Duration = Field(30.0, gt=0, le=600, description="A client that does not read for this long is cut.")
    idle: Idle = 75.0


class Listening(Settings):
    """One listener."""

    listen: Listen
    limits: Bounds

    @property
    def address(self) -> Address:
        return Address.parse(self.listen)
