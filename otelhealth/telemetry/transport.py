"""Senders over OTLP/HTTP, and the one that a receiver asks for.

3xx and partial success are losses, which the official exporters take for deliveries.
"""

from __future__ import annotations

import zlib
from pathlib import Path

from otelhealth.errors import OtelHealthError
from otelhealth.telemetry.connection import Connection
from otelhealth.telemetry.sender import Attempt, Outcome, Retrying, Sender
from otelhealth.telemetry.settings import PROTOBUF, Otlp, SignalName
from otelhealth.telemetry.wire import rejected

RETRYABLE = frozenset({429, 502, 503, 504})


class HttpSender(Retrying):
    """OTLP/HTTP with protobuf bodies over one kept connection."""

    def __init__(self, receiver: Otlp) -> None:
        super().__init__(receiver.timeout)
        self._gzip = receiver.compression == "gzip"
        headers = {"content-type": "application/x-protobuf"} | ({"content-encoding": "gzip"} if self._gzip else {})
        headers |= {name.lower(): value.get_secret_value() for name, value in receiver.headers.items()}
        self._connection = Connection(receiver, headers)

    def _prepare(self, body: bytes) -> bytes:
        return _gzipped(body) if self._gzip else body

    def _attempt(self, body: bytes, timeout: float) -> Attempt:
        try:
            reply = self._connection.post(body, timeout)
        except TimeoutError:
            return Attempt(Outcome("timeout", "no answer in time"), 0.0)
        except ConnectionRefusedError:
            return Attempt(Outcome("connection_refused", "connection refused"), 0.0)
        except OSError as error:
            return Attempt(Outcome("connection_error", str(error) or type(error).__name__), 0.0)
        if 200 <= reply.status < 300:
            count, reason = rejected(reply.body)
            return Attempt(Outcome(rejected=count, message=reason))
        outcome = Outcome(str(reply.status), f"answered {reply.status}")
        return Attempt(outcome, reply.retry_after() if reply.status in RETRYABLE else None)

    def close(self) -> None:
        super().close()
        if self._one_at_a_time.acquire(blocking=False):
            self._connection.close()
            self._one_at_a_time.release()


def _gzipped(body: bytes) -> bytes:
    """Level 1: OTLP repeats itself, so it is near the size of level 6 at a third of its time. The window is no larger
    than the body: to prepare a full one takes ten times as long as to pack the few spans of a second."""
    bits = min(15, max(9, len(body).bit_length()))
    packer = zlib.compressobj(1, zlib.DEFLATED, 16 + bits, bits - 7)
    return packer.compress(body) + packer.flush()


def sender_for(signal: SignalName, receiver: Otlp) -> Sender:
    """The sender of the receiver's protocol; OtelHealthError where its library or a certificate is missing."""
    for file in (receiver.certificate, receiver.client_certificate, receiver.client_key):
        if file is not None and not Path(file).is_file():
            raise OtelHealthError(f"telemetry.otlp: there is no file {file}", "name a PEM file that can be read")
    if receiver.protocol == PROTOBUF:
        return HttpSender(receiver)
    from otelhealth.telemetry.rpc import GrpcSender  # noqa: PLC0415 - grpc costs 15 MB, only those who ask pay

    return GrpcSender(signal, receiver)
