"""What a user sets of the server: where it listens, who may ask, and what one client may cost."""

from typing import Protocol

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator

from otelhealth.address import Address, Listen
from otelhealth.checks.base import Settings
from otelhealth.units import Duration, Size


class AuthSettings(Settings):
    """Who may see the details."""

    tokens: tuple[SecretStr, ...] = Field(
        (), description="Any of these, as a bearer token or as a basic auth password, opens all but the plain probes."
    )

    @field_validator("tokens")
    @classmethod
    def _none_is_empty(cls, tokens: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for token in tokens:
            text = token.get_secret_value()
            if not text.strip():
                raise ValueError("an empty token is never valid; give it a value, or leave `tokens` out")
            if not text.isascii() or not text.isprintable() or " " in text:
                raise ValueError("a token is printable ASCII without spaces; make one with: openssl rand -hex 32")
        return tokens


class LimitSettings(Settings):
    """What one client, or all of them together, may cost."""

    connections: int = Field(
        1000,
        ge=10,
        le=100_000,
        description="Open connections; at most half of the process's file descriptors are taken. One more closes the "
        "one that has been waiting longest.",
    )
    header_size: Size = Field(32_768, ge=1024, le=2**20, description="Request line and headers of one request.")
    header_time: Duration = Field(10.0, gt=0, le=600, description="Within which a request's headers must have come.")
    body_size: Size = Field(65_536, ge=0, le=2**26, description="Body of one request.")
    body_time: Duration = Field(10.0, gt=0, le=600, description="Within which a request's body must have come.")
    write_time: Duration = Field(30.0, gt=0, le=600, description="A client that does not read for this long is cut.")
    idle: Duration = Field(75.0, gt=0, le=3600, description="A connection that asks nothing for this long is closed.")
    runs_per_minute: int = Field(30, ge=1, le=10_000, description="Checks run on demand, all together.")


class ServerSettings(Settings):
    """The `server` section."""

    enabled: bool = Field(True, description="Answer over HTTP at all.")
    listen: Listen = Field("127.0.0.1:8082", description="`host:port`, `[::1]:8082`; port 0 takes any free one.")
    auth: AuthSettings = Field(
        default_factory=AuthSettings.by_default, description="The keys to all but the plain probes."
    )
    allow: tuple[IPvAnyNetwork, ...] = Field(
        (), description="Networks (CIDR) whose clients may read without a token, asked directly: not through a proxy."
    )
    limits: LimitSettings = Field(default_factory=LimitSettings.by_default, description="What clients may cost.")

    @property
    def address(self) -> Address:
        return Address.parse(self.listen)


class Bounds(Protocol):
    """What one client may cost; sizes in bytes, times in seconds."""

    @property
    def connections(self) -> int: ...

    @property
    def header_size(self) -> int: ...

    @property
    def header_time(self) -> float: ...

    @property
    def body_size(self) -> int: ...

    @property
    def body_time(self) -> float: ...

    @property
    def write_time(self) -> float: ...

    @property
    def idle(self) -> float: ...


class Listening(Protocol):
    """A listener as its server takes it."""

    @property
    def address(self) -> Address: ...

    @property
    def limits(self) -> Bounds: ...
