"""Where encoded requests leave: the spool over HTTP, gRPC without one; and the figures of both."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from otelhealth.clock import Clock
from otelhealth.model import Attributes
from otelhealth.redaction import Redactor
from otelhealth.spool import Otlp, SignalName, Spool, SpoolSettings
from otelhealth.spool.place import Place
from otelhealth.spool.settings import PROTOBUF
from otelhealth.spool.tally import OUTCOMES, REASONS, Tally
from otelhealth.telemetry import names
from otelhealth.telemetry.content import OtlpContent
from otelhealth.telemetry.export import Ledger
from otelhealth.telemetry.instruments import Instruments
from otelhealth.telemetry.metric import Metric
from otelhealth.telemetry.resource import Identity
from otelhealth.telemetry.sender import Sender, SpoolSender, check_files
from otelhealth.units import MEMORY

_EXPORTED: dict[SignalName, tuple[Metric, Literal["span", "metric", "log"]]] = {
    "traces": (names.EXPORTED_SPANS, "span"),
    "metrics": (names.EXPORTED_POINTS, "metric"),
    "logs": (names.EXPORTED_LOGS, "log"),
}


class Outlet:
    """A sender for each signal that has a receiver; OtelHealthError where a library or a file is missing."""

    def __init__(  # noqa: PLR0913, PLR0917 - called by `Telemetry` alone
        self,
        receivers: Mapping[SignalName, Otlp],
        settings: SpoolSettings,
        place: Place | None,
        instruments: Instruments,
        clock: Clock,
        redact: Redactor,
    ) -> None:
        self._redact = redact
        self._instruments = instruments
        for receiver in receivers.values():
            check_files(receiver)
        spooled = {signal: receiver for signal, receiver in receivers.items() if receiver.protocol == PROTOBUF}
        self.spool = Spool(spooled, place, settings, OtlpContent(redact), clock) if spooled else None
        self.ledgers = {signal: self._ledger(signal, receiver) for signal, receiver in receivers.items()}
        self.senders = {signal: self._sender(signal, receiver) for signal, receiver in receivers.items()}

    def start(self) -> None:
        if self.spool is not None:
            self.spool.start()

    def refresh(self) -> None:
        """Show in the instruments what the spool has counted; from memory."""
        if self.spool is None:
            return
        self._set(names.SPOOL_LIMIT, (), self.spool.settings.max_size)
        for signal in self.spool.signals:
            self._show(signal, self.spool.queue.tallies[signal], self.spool.queue.used(signal)[1])

    def close(self, timeout: float) -> bool:
        """See `Spool.close`."""
        for sender in self.senders.values():
            sender.close()
        return self.spool is None or self.spool.close(timeout)

    def _show(self, signal: SignalName, tally: Tally, used: int) -> None:
        of = (names.SIGNAL, signal)
        self._set(names.SPOOL_USAGE, (of,), used)
        for outcome in OUTCOMES:
            self._set(names.SPOOL_REQUESTS, (of, (names.OUTCOME, outcome)), tally.requests[outcome])
        for reason in REASONS:
            self._set(names.SPOOL_DROPPED, (of, (names.REASON, reason)), tally.dropped[reason])
        metric, base = _exported(signal, "http")
        if tally.delivered:
            self._set(metric, base, tally.delivered)
        for error_type, items in list(tally.lost.items()):
            self._set(metric, (*base, (names.ERROR_TYPE, error_type)), items)

    def _set(self, metric: Metric, attributes: Attributes, value: int) -> None:
        self._instruments.set(metric, attributes, float(value))

    def _sender(self, signal: SignalName, receiver: Otlp) -> Sender:
        if self.spool is not None and receiver.protocol == PROTOBUF:
            return SpoolSender(signal, receiver, self.spool)
        from otelhealth.telemetry.rpc import GrpcSender  # noqa: PLC0415 - grpc costs 15 MB, only those who ask pay

        return GrpcSender(signal, receiver, self.ledgers[signal].enter)

    def _ledger(self, signal: SignalName, receiver: Otlp) -> Ledger:
        metric, base = _exported(signal, "http" if receiver.protocol == PROTOBUF else "grpc")

        def count(problem: str | None, items: int) -> None:
            attributes = (*base, (names.ERROR_TYPE, problem)) if problem else base
            self._instruments.count(metric, attributes, items)

        return Ledger(signal, count, self._redact)


def place_of(settings: SpoolSettings, identity: Identity, store: Path | str) -> Place | None:
    """Where the spool of that agent is kept, whose store is at `store`; None: in memory."""
    if not settings.enabled or MEMORY in (settings.path, store if settings.path is None else ""):
        return None
    if settings.path is not None:
        return Place.of(Path(settings.path), identity.service)
    return Place.beside(Path(store).parent, identity.role, identity.slot, identity.service)


def _exported(signal: SignalName, way: str) -> tuple[Metric, Attributes]:
    metric, item = _EXPORTED[signal]
    return metric, (
        (names.COMPONENT_NAME, f"otlp_{way}_{item}_exporter/otelhealth"),
        (names.COMPONENT_TYPE, f"otlp_{way}_{item}_exporter"),
    )
