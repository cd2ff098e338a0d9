"""What a user sets of the server: where it listens, who may ask, and what one client may cost."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field, IPvAnyNetwork, SecretStr, field_validator

from otelhealth.checks.base import Settings
from otelhealth.units import Duration, Size

_HOST_PORT = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%a-z]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens, or was asked to: port 0 means any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """From `127.0.0.1:8082`, `localhost:0` or `[::1]:8082`; raises ValueError with the remedy."""
        match = _HOST_PORT.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not an address to listen on; write host:port, such as 127.0.0.1:8082")
        if int(match["port"]) > 65535:
            raise ValueError(f"there is no port {match['port']}; take one from 1 to 65535, or 0 for any free one")
        return cls(match["six"] or match["host"], int(match["port"]))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _listenable(text: str) -> str:
    Address.parse(text)
    return text


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
    listen: Annotated[str, AfterValidator(_listenable)] = Field(
        "127.0.0.1:8082", description="`host:port`, `[::1]:8082`; port 0 takes any free one."
    )
    auth: AuthSettings = Field(default_factory=AuthSettings, description="The keys to all but the plain probes.")
    allow: tuple[IPvAnyNetwork, ...] = Field(
        (), description="Networks (CIDR) whose clients may read without a token, asked directly: not through a proxy."
    )
    limits: LimitSettings = Field(default_factory=LimitSettings, description="What clients may cost.")

    @property
    def address(self) -> Address:
        return Address.parse(self.listen)
