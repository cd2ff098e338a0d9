"""What a user says of an OTLP receiver, and of what waits for it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, SecretStr, field_validator

from otelhealth.checks.request import header_problem
from otelhealth.checks.url import Url
from otelhealth.settings import Settings
from otelhealth.units import Duration, LocalPath, Size

SignalName = Literal["traces", "metrics", "logs"]
SIGNALS: tuple[SignalName, ...] = ("traces", "metrics", "logs")
PROTOBUF: Literal["http/protobuf"] = "http/protobuf"


class SpoolSettings(Settings):
    """How what is not delivered yet is kept."""

    enabled: bool = Field(True, description="Whether it is kept on disk; otherwise it is kept in memory.")
    path: LocalPath | None = Field(
        None, description="A file, or `:memory:`. Default: spool-<role>-<slot>.db beside the store."
    )
    max_size: Size = Field(64 * 2**20, ge=2**20, description="Bytes that may wait; beyond, the oldest are dropped.")
    max_age: Duration = Field(86400.0, ge=1, description="How long something may wait.")


class Otlp(Settings):
    """An OTLP receiver and how to speak to it."""

    endpoint: str | None = Field(
        None,
        description="Base URL of the receiver, such as http://collector:4318; without one nothing is sent. "
        "Under a signal: the full URL of that signal.",
    )
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="Sent with each request; never shown.")
    protocol: Literal["http/protobuf", "grpc"] = Field(
        PROTOBUF, description="`grpc` needs pip install 'otelhealth[grpc]', and has no spool: an outage loses."
    )
    timeout: Duration = Field(10.0, gt=0, le=600, description="Of one request, its answer included.")
    compression: Literal["gzip", "none"] = Field("gzip", description="Of the request bodies.")
    certificate: LocalPath | None = Field(
        None, description="CA certificates (PEM) that the receiver's is checked against."
    )
    client_certificate: LocalPath | None = Field(
        None, description="Our certificate (PEM), where the receiver asks for one."
    )
    client_key: LocalPath | None = Field(None, description="The key of `client_certificate`.")

    @field_validator("endpoint")
    @classmethod
    def _is_url(cls, value: str | None) -> str | None:
        return endpoint(value) if value is not None and value.strip() else None

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, value in headers.items():
            if problem := header_problem(name, value.get_secret_value()):
                raise ValueError(problem)
        return headers


def endpoint(value: str) -> str:
    """An OTLP receiver's URL as it was written; raises ValueError, in words that repeat no credentials."""
    value = value.strip()
    if "@" in value:
        raise ValueError("an OTLP endpoint holds no credentials; send them as a header, such as authorization")
    if not value.startswith(("http://", "https://")):
        raise ValueError(f"{value!r} is not an OTLP endpoint; write one such as http://127.0.0.1:4318")
    if not value.isascii():
        raise ValueError("an OTLP endpoint is written in ASCII; write other characters of a path as %C3%A9")
    Url.parse(value)
    return value
