"""What a user says about telemetry: where it goes, which signals, how often."""

from typing import Any, Self, TypeVar

from pydantic import Field, model_validator

from otelhealth.address import Listen
from otelhealth.model import ExportPath
from otelhealth.settings import Settings
from otelhealth.spool.settings import PROTOBUF, SIGNALS, Otlp, SignalName, SpoolSettings
from otelhealth.telemetry.circle import leads_back
from otelhealth.telemetry.receiving import ReceiveSettings
from otelhealth.units import Duration

Model = TypeVar("Model", bound=Settings)


class Export(Otlp):
    """The receiver of all signals, and what waits for it."""

    spool: SpoolSettings = Field(
        default_factory=SpoolSettings.by_default, description="What could not be delivered yet."
    )


class Signal(Settings):
    """One of the three signals."""

    enabled: bool = Field(True, description="Whether this signal leaves the agent.")
    otlp: Otlp = Field(
        default_factory=Otlp.by_default, description="What differs for this signal from `telemetry.otlp`."
    )


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
    """What leaves over OTLP."""

    otlp: Export = Field(default_factory=Export.by_default, description="Where telemetry is sent.")
    traces: Batched = Field(default_factory=Batched.by_default, description="One trace per run of a check.")
    metrics: Metrics = Field(default_factory=Metrics.by_default, description="States, durations, measurements.")
    logs: Batched = Field(default_factory=Batched.by_default, description="Events: changes of state, start and stop.")
    receive: Listen | ReceiveSettings | None = Field(
        None,
        description="Where the service's own OTLP/HTTP is taken, such as 127.0.0.1:4318, or {listen: .., limits: ..}: "
        "it goes on to `otlp`, and the durations of requests are read from it.",
    )

    @model_validator(mode="after")
    def _leads_away(self) -> Self:
        receiving = self.receiving
        for signal in SIGNALS if receiving else ():
            receiver = self.receiver(signal)
            if receiving and receiver and receiver.endpoint and leads_back(receiver.endpoint, receiving.address):
                raise ValueError(
                    f"receive: {receiving.address} is where the endpoint of {signal} leads back to; give one of them "
                    "another address: the endpoint is that of the Collector behind the agent"
                )
        return self

    @property
    def receiving(self) -> ReceiveSettings | None:
        """`receive`, however it was written."""
        return ReceiveSettings(listen=self.receive) if isinstance(self.receive, str) else self.receive

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

    @property
    def receivers(self) -> dict[SignalName, Otlp]:
        """Of the signals that are sent."""
        return {signal: receiver for signal in SIGNALS if (receiver := self.receiver(signal))}

    def export_path(self, instance: str = "") -> ExportPath | None:
        """Where telemetry of that `service.instance.id` goes; None where nothing is exported."""
        for signal, receiver in self.receivers.items():
            endpoint = self.otlp.endpoint or (receiver.endpoint or "").removesuffix(f"/v1/{signal}")
            headers = {name: value.get_secret_value() for name, value in receiver.headers.items()}
            return ExportPath(endpoint, headers, receiver.protocol, instance)
        return None


def _under(settings: Model, told: Model) -> Model:
    """`settings` with each field that `told` names itself."""
    update: dict[str, Any] = {}
    for name in told.model_fields_set:
        old, new = getattr(settings, name), getattr(told, name)
        update[name] = _under(old, new) if isinstance(old, Settings) else new
    return settings.model_copy(update=update)
