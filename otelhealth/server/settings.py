"""What a user sets of the server: where it listens, who may ask, and what one client may cost."""

from pydantic import Field, IPvAnyNetwork, SecretStr, field_validator

from otelhealth.address import Listen
from otelhealth.listening import Bounds, Listening
from otelhealth.settings import Settings


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


class LimitSettings(Bounds):
    """What clients of the endpoints may cost."""

    runs_per_minute: int = Field(30, ge=1, le=10_000, description="Checks run on demand, all together.")


class ServerSettings(Listening):
    """Where `/health` answers, and to whom."""

    enabled: bool = Field(True, description="Answer over HTTP at all.")
    listen: Listen = Field("127.0.0.1:8082", description="`host:port`, `[::1]:8082`; port 0 takes any free one.")
    auth: AuthSettings = Field(
        default_factory=AuthSettings.by_default, description="The keys to all but the plain probes."
    )
    allow: tuple[IPvAnyNetwork, ...] = Field(
        (), description="Networks (CIDR) whose clients may read without a token, asked directly: not through a proxy."
    )
    limits: LimitSettings = Field(default_factory=LimitSettings.by_default, description="What clients may cost.")
