"""What a user says about telemetry: where it goes, which signals, how often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, TypeVar

from pydantic import Field, SecretStr, field_validator

from otelhealth.checks.base import Settings
from otelhealth.checks.request import header_problem
from otelhealth.telemetry.environment import endpoint, overrides
from otelhealth.units import Duration, LocalPath

Model = TypeVar("Model", bound=Settings)
SignalName = Literal["traces", "metrics", "logs"]
PROTOBUF: Literal["http/protobuf"] = "http/protobuf"


class Otlp(Settings):
    """An OTLP receiver and how to speak to it."""

    endpoint: str | None = Field(
        None,
        description="Base URL of the receiver, such as http://collector:4318; without one nothing is sent. "
        "Under a signal: the full URL of that signal.",
    )
    headers: dict[str, SecretStr] = Field(default_factory=dict, description="Sent with each request; never shown.")
    protocol: Literal["http/protobuf", "grpc"] = Field(
        PROTOBUF, description="`grpc` needs pip install 'otelhealth[grpc]'."
    )
    timeout: Duration = Field(10.0, gt=0, le=600, description="Of one export, with its retries.")
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


class Signal(Settings):
    """One of the three signals."""

    enabled: bool = Field(True, description="Whether this signal leaves the agent.")
    otlp: Otlp = Field(default_factory=Otlp, description="What differs for this signal from `telemetry.otlp`.")


class Batched(Signal):
    """A signal of single items, sent in batches."""

    delay: Duration = Field(1.0, gt=0, le=60, description="How long an item waits for others before it is sent.")
    max_queue: int = Field(10_000, ge=1, le=1_000_000, description="Items that may wait; further ones are lost.")
    max_batch: int = Field(2_000, ge=1, le=100_000, description="Items in one request.")


class Metrics(Signal):
    interval: Duration = Field(15.0, ge=0.1, le=3600, description="Time between two exports.")
    cardinality_limit: int = Field(
        1_000, ge=10, le=1_000_000, description="Series that one check may have; further ones are refused, loudly."
    )


class TelemetrySettings(Settings):
    """`telemetry` of the configuration."""

    otlp: Otlp = Field(default_factory=Otlp, description="Where telemetry is sent.")
    traces: Batched = Field(default_factory=Batched, description="One trace per run of a check.")
    metrics: Metrics = Field(default_factory=Metrics, description="States, durations, measurements.")
    logs: Batched = Field(default_factory=Batched, description="Events: changes of state, start and stop.")

    def with_environment(self, environ: Mapping[str, str]) -> Self:
        """These settings with what `OTEL_*` in `environ` says; an `OTELHEALTH_TELEMETRY__*` of the same field wins."""
        told: dict[str, Any] = {}
        for path, value in overrides(environ):
            if "OTELHEALTH_TELEMETRY__" + "__".join(path).upper() in environ:
                continue
            target = told
            for key in path[:-1]:
                target = target.setdefault(key, {})
            target[path[-1]] = value
        return _under(self, type(self).model_validate(told))

    def receiver(self, signal: SignalName) -> Otlp | None:
        """The receiver of `signal` with its full URL as endpoint; None when the signal is not sent."""
        chosen: Signal = getattr(self, signal)
        if not chosen.enabled:
            return None
        merged = _under(self.otlp, chosen.otlp)
        if merged.endpoint is None:
            return None
        if chosen.otlp.endpoint is None and merged.protocol == PROTOBUF:
            return merged.model_copy(update={"endpoint": f"{merged.endpoint.rstrip('/')}/v1/{signal}"})
        return merged


def _under(settings: Model, told: Model) -> Model:
    """`settings` with each field that `told` names itself."""
    update: dict[str, Any] = {}
    for name in told.model_fields_set:
        old, new = getattr(settings, name), getattr(told, name)
        update[name] = _under(old, new) if isinstance(old, Settings) else new
    return settings.model_copy(update=update)
