"""OTLP in: a listener of its own that takes the telemetry of the service and passes it on through the spool."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable

from otelhealth.clock import Clock
from otelhealth.errors import OtelHealthError
from otelhealth.records import ReceiverRecord
from otelhealth.server.ingest import Ingest
from otelhealth.server.intake import Intake
from otelhealth.server.otlp import Refusal, ended, media_type, refused
from otelhealth.server.responses import Response
from otelhealth.server.serve import Server
from otelhealth.server.settings import AuthSettings
from otelhealth.spool.settings import PROTOBUF, SIGNALS, SignalName
from otelhealth.telemetry.figures import Received
from otelhealth.telemetry.follower import Follower
from otelhealth.telemetry.receiving import ReceiveSettings
from otelhealth.telemetry.requests import Requests
from otelhealth.telemetry.resource import INSTANCE_ID
from otelhealth.telemetry.setup import Telemetry

log = logging.getLogger("otelhealth.receive")


class Receiver:
    """Listens from `start` to `stop`, in one event loop."""

    def __init__(self, settings: ReceiveSettings, auth: AuthSettings, telemetry: Telemetry, clock: Clock) -> None:
        self._telemetry = telemetry
        self._refused: Counter[str] = Counter()
        self._taken: Counter[SignalName] = Counter()
        most = settings.limits.body_size
        self._follower = Follower(Requests(telemetry.windows, clock), most)
        self._intake = Intake(telemetry.spool, self._follower, most)
        instance = telemetry.resource.get(INSTANCE_ID, "")
        app = Ingest(settings.limits, auth, self._intake, self._count, clock, instance)
        self._server = Server(app, settings, setting="telemetry.receive", refuse=self._ended)

    @property
    def url(self) -> str:
        """Where it takes OTLP, for programs on this machine; empty while it does not."""
        return self._server.url

    @property
    def forwarded(self) -> list[SignalName]:
        """The signals that go on; the others are read and let go."""
        spool = self._telemetry.spool
        return [signal for signal in SIGNALS if spool is not None and signal in spool.signals]

    async def start(self) -> None:
        """Raises OtelHealthError where its address cannot be had, or what it takes could not go on."""
        if signals := [signal for signal, protocol in self._telemetry.protocols.items() if protocol != PROTOBUF]:
            raise OtelHealthError(
                f"telemetry.receive: {', '.join(signals)} cannot go on by gRPC, which has no spool",
                "set telemetry.otlp.protocol to http/protobuf, and the endpoint to the Collector's port 4318",
            )
        await self._server.start()
        self._intake.start()
        self._follower.start()
        for signal in SIGNALS:
            self._telemetry.instruments.received(signal, self._outcome(signal), requests=0)
        if gone := [signal for signal in SIGNALS if signal not in self.forwarded]:
            log.warning("received %s are read and let go: no endpoint is set for them", ", ".join(gone))

    async def left(self, within: float) -> None:
        """Until no sender is connected, at most so many seconds: one that stops sends what it still has."""
        await self._server.deserted(within)

    async def stop(self, grace: float) -> None:
        """Let what is being taken be answered within `grace` seconds."""
        await self._server.stop(grace)
        self._intake.stop()
        self._follower.stop()

    def record(self) -> ReceiverRecord:
        """For the report."""
        return ReceiverRecord(
            address=self.url,
            forwarded=[str(signal) for signal in self.forwarded],
            requests={signal: self._taken[signal] for signal in SIGNALS},
            refused=dict(self._refused),
        )

    def _outcome(self, signal: SignalName) -> Received:
        return "forwarded" if signal in self.forwarded else "discarded"

    def _count(self, signal: SignalName | None, refusal: Refusal | None) -> None:
        instruments = self._telemetry.instruments
        if refusal is not None:
            self._refused[str(refusal.status)] += 1
            instruments.received(signal, "refused", str(refusal.status))
        elif signal is not None:
            self._taken[signal] += 1
            instruments.received(signal, self._outcome(signal))

    def _ended(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> Response:
        """What the connection itself refuses."""
        refusal, media = ended(status), media_type(headers)
        self._count(None, refusal)
        return refused(refusal, media)
