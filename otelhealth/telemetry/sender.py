"""What takes the encoded requests of a signal: the spool, or gRPC, which has none."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, Protocol

from otelhealth.errors import OtelHealthError
from otelhealth.spool import Letter, Otlp, SignalName, Spool
from otelhealth.telemetry.content import OtlpContent


class Outcome(NamedTuple):
    """What became of a request; `error_type` None: delivered, but for `rejected` items."""

    error_type: str | None = None
    message: str = ""
    rejected: int = 0


class Sender(Protocol):
    """Takes one encoded request of so many items, in any thread, and counts what becomes of them."""

    def send(self, body: bytes, items: int) -> None:
        """`items` 0: they are to be counted."""
        ...

    def close(self) -> None:
        """No further retries; a send that waits between two returns."""
        ...


class SpoolSender:
    """Returns when the request is kept; the spool delivers and counts it."""

    def __init__(self, signal: SignalName, receiver: Otlp, spool: Spool) -> None:
        self._signal = signal
        self._spool = spool
        self._gzip = receiver.compression == "gzip"
        self._content = OtlpContent()

    def send(self, body: bytes, items: int) -> None:
        letter = Letter(self._signal, body, items=items)
        if not items:
            letter = Letter(self._signal, body, items=self._content.count(letter))
        self._spool.put(letter.packed() if self._gzip else letter)

    def close(self) -> None:
        """The spool is closed by itself."""


def check_files(receiver: Otlp) -> None:
    """OtelHealthError where a certificate is missing."""
    for file in (receiver.certificate, receiver.client_certificate, receiver.client_key):
        if file is not None and not Path(file).is_file():
            raise OtelHealthError(f"telemetry.otlp: there is no file {file}", "name a PEM file that can be read")
