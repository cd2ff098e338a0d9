"""Puts the room together: what the agent records into, and the threads that send it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

from opentelemetry import _logs, metrics, trace
from pydantic import SecretStr

from otelhealth.checks.secret import secrets_of
from otelhealth.clock import SYSTEM, Clock
from otelhealth.model import Child, MetricFamily
from otelhealth.records import ExportRecord
from otelhealth.redaction import Redactor
from otelhealth.spool import Otlp, SignalName, Spool
from otelhealth.spool.place import Place
from otelhealth.telemetry.child import ChildFigures
from otelhealth.telemetry.circle import MARK, mark_of
from otelhealth.telemetry.encode import encode
from otelhealth.telemetry.export import Exporter, ItemExporter, MetricExporter
from otelhealth.telemetry.instruments import Instruments
from otelhealth.telemetry.lazy import LazyLoggers, LazyMeters, LazyTracers
from otelhealth.telemetry.logs import Events
from otelhealth.telemetry.names import SCOPE
from otelhealth.telemetry.outlet import Outlet, place_of
from otelhealth.telemetry.own import OwnProcess
from otelhealth.telemetry.resource import INSTANCE_ID, Identity, build_resource
from otelhealth.telemetry.settings import TelemetrySettings
from otelhealth.telemetry.spans import Spans
from otelhealth.telemetry.tracing import Tracer
from otelhealth.telemetry.windows import Windows
from otelhealth.telemetry.wire import NANO, Envelope
from otelhealth.units import MEMORY
from otelhealth.version import __version__

if TYPE_CHECKING:
    from otelhealth.telemetry.sdk import SdkProviders

_LAST_RETRIES = 1.0  # seconds at the end for a gRPC receiver that is down; one that works gets all of the timeout


class Telemetry:
    """What leaves the agent. Without an endpoint nothing is sent and no thread runs; figures are kept all the same."""

    def __init__(  # noqa: PLR0913, PLR0917 - called by `prepare` alone
        self,
        settings: TelemetrySettings,
        resource: Mapping[str, str],
        receivers: Mapping[SignalName, Otlp],
        place: Place | None,
        clock: Clock,
        redact: Redactor,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self.receiving = settings.receiving
        self.protocols = {signal: receiver.protocol for signal, receiver in receivers.items()}
        self.resource = resource
        self._envelope = Envelope(resource, SCOPE, __version__)
        self.instruments = Instruments(clock, exemplars="traces" in receivers, limit=settings.metrics.cardinality_limit)
        self._outlet = Outlet(receivers, settings.otlp.spool, place, self.instruments, clock, redact)
        self._process = OwnProcess(self.instruments, clock)
        self._exporters: list[Exporter] = []
        spans, records = self._items("traces"), self._items("logs")
        self.log_records = records
        self._metrics()
        self.tracer = Tracer(spans.put if spans else None, clock, redact)
        self.spans = Spans(self.tracer)
        self.events = Events(records.put if records else None, clock, redact)
        self.windows = Windows(clock)
        self.export_path = settings.export_path(resource.get(INSTANCE_ID, ""))
        self._sdk: SdkProviders | None = None
        self._sdk_lock = threading.Lock()
        self._child: ChildFigures | None = None
        self._started = False

    @classmethod
    def prepare(  # noqa: PLR0913, PLR0917 - most have their default
        cls,
        settings: TelemetrySettings,
        identity: Identity,
        clock: Clock = SYSTEM,
        environ: Mapping[str, str] = os.environ,
        store: Path | str = MEMORY,
        redact: Redactor | None = None,
    ) -> Telemetry:
        """What `settings` say, under a resource that `environ` may add to; OtelHealthError where a file is missing.

        The spool is kept beside the `store`; with one in memory in memory. `redact` keeps secrets out of spans and
        events, and learns those of `settings`.
        """
        place = place_of(settings.otlp.spool, identity, store)
        redact = Redactor() if redact is None else redact
        redact.learn(secrets_of(settings))
        resource = build_resource(identity, environ)
        receivers = settings.receivers
        if settings.receive is not None:
            receivers = {signal: _marked(receiver, resource) for signal, receiver in receivers.items()}
        return cls(settings, resource, receivers, place, clock, redact)

    def start(self) -> Self:
        """Start the threads that send; what an earlier process could not deliver goes first."""
        if not self._started:
            self._started = True
            self._outlet.start()
            for exporter in self._exporters:
                exporter.start()
        return self

    def watch(self, child: Child, resource: Mapping[str, str]) -> ChildFigures:
        """Give out, besides, what the service below this agent uses, under the resource that is its own."""
        self._child = ChildFigures(child, resource, self._clock)
        return self._child

    def families(self) -> Iterator[MetricFamily]:
        """The agent's own metrics, its service's and the application's, for `/metrics`; from memory."""
        self._refresh()
        yield from self.instruments.families()
        if self._child is not None:
            yield from self._child.families()
        if self._sdk is not None:
            yield from self._sdk.families()

    def read_application(self) -> None:
        """Bring the application's latest requests into `windows`; a thread does so every 10 s anyway. May take ms."""
        if self._sdk is not None:
            self._sdk.read()

    @property
    def tracer_provider(self) -> trace.TracerProvider:
        """For user code: the SDK's. Its spans nest under a run's span."""
        return self._providers().tracers

    @property
    def meter_provider(self) -> metrics.MeterProvider:
        """For user code: the SDK's. Request durations recorded there feed `windows`."""
        return self._providers().meters

    @property
    def logger_provider(self) -> _logs.LoggerProvider:
        """For user code: the SDK's."""
        return self._providers().loggers

    def set_global(self) -> None:
        """Make the global API of this process write here. A second call in one process is refused by the API."""
        trace.set_tracer_provider(LazyTracers(lambda: self.tracer_provider))
        metrics.set_meter_provider(LazyMeters(lambda: self.meter_provider))
        _logs.set_logger_provider(LazyLoggers(lambda: self.logger_provider))

    @property
    def spool(self) -> Spool | None:
        """Where all that leaves over OTLP/HTTP waits until it is delivered; None where nothing leaves that way."""
        return self._outlet.spool

    def export_record(self) -> ExportRecord | None:
        """The spool's state; from memory."""
        return self.spool.record() if self.spool is not None else None

    def close(self, timeout: float = 5.0) -> bool:
        """Send what is left; whether all threads ended within `timeout` seconds. Blocks: call it in a thread."""
        deadline = time.monotonic() + timeout
        for exporter in self._exporters:
            exporter.close()
        stopping = self._sdk.close(timeout) if self._sdk else None
        patience = time.monotonic() + min(_LAST_RETRIES, timeout / 2)
        if not all(exporter.join(patience - time.monotonic()) for exporter in self._exporters):
            for exporter in self._exporters:
                exporter.stop_retrying()
        ended = [exporter.join(deadline - time.monotonic()) for exporter in self._exporters]
        if stopping:
            stopping.join(max(0.0, deadline - time.monotonic()))
            ended.append(not stopping.is_alive())
        ended.append(self._outlet.close(max(0.0, deadline - time.monotonic())))
        return all(ended)

    def _providers(self) -> SdkProviders:
        with self._sdk_lock:
            if self._sdk is None:
                from otelhealth.telemetry.sdk import SdkProviders  # noqa: PLC0415 - only where user code asks for it

                self._sdk = SdkProviders(self._settings, self.resource, self._outlet.senders, self.windows)
            return self._sdk

    def _items(self, signal: Literal["traces", "logs"]) -> ItemExporter | None:
        sender = self._outlet.senders.get(signal)
        if sender is None:
            return None
        ledger = self._outlet.ledgers[signal]
        exporter = ItemExporter(signal, sender, ledger, self._envelope, getattr(self._settings, signal))
        self._exporters.append(exporter)
        return exporter

    def _metrics(self) -> None:
        if sender := self._outlet.senders.get("metrics"):
            self._exporters.append(MetricExporter(sender, self._requests, self._settings.metrics.interval))

    def _requests(self) -> Iterator[tuple[bytes, int]]:
        self._refresh()
        now = int(self._clock.time() * NANO)
        yield from encode(self.instruments.tables(), self._envelope, now)
        if self._child is not None:
            yield from self._child.requests(now)

    def _refresh(self) -> None:
        self._process.refresh()
        self._outlet.refresh()


def _marked(receiver: Otlp, resource: Mapping[str, str]) -> Otlp:
    """So that what comes back to this agent is known."""
    mark = SecretStr(mark_of(resource.get(INSTANCE_ID, "")))
    return receiver.model_copy(update={"headers": {**receiver.headers, MARK: mark}})
