"""OTLP/gRPC: the same encoded requests as raw bytes through one unary call, retried but not spooled."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from otelhealth.errors import MissingLibraryError
from otelhealth.spool import Otlp, SignalName
from otelhealth.telemetry.content import rejected
from otelhealth.telemetry.sender import Outcome

try:
    import grpc  # type: ignore[import-untyped] # its stubs are another package
except ImportError as missing:
    raise MissingLibraryError("grpcio", "grpc") from missing

_METHODS: dict[SignalName, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
Settle = Callable[[Outcome, int], None]  # with the number of items
_RETRYABLE = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "DATA_LOSS", "CANCELLED"}
)


class Attempt(NamedTuple):
    """One try; `again`: another may help."""

    outcome: Outcome
    again: bool = False


class GrpcSender:
    """Sends one signal, with growing pauses until the request's time is over; the channel connects by itself."""

    def __init__(self, signal: SignalName, receiver: Otlp, settle: Settle) -> None:
        self._timeout = receiver.timeout
        self._settle = settle
        self._closing = threading.Event()
        self._one_at_a_time = threading.Lock()
        url = urlsplit(receiver.endpoint or "")
        target = f"{url.hostname}:{url.port or 4317}"
        self._channel = (
            grpc.secure_channel(target, _credentials(receiver))
            if url.scheme == "https"
            else grpc.insecure_channel(target)
        )
        self._call = self._channel.unary_unary(_METHODS[signal])
        self._compression = grpc.Compression.Gzip if receiver.compression == "gzip" else grpc.Compression.NoCompression
        self._metadata = tuple((name.lower(), value.get_secret_value()) for name, value in receiver.headers.items())

    def send(self, body: bytes, items: int) -> None:
        self._settle(self._send(body), items or 1)

    def _send(self, body: bytes) -> Outcome:
        deadline = time.monotonic() + self._timeout
        if not self._one_at_a_time.acquire(timeout=self._timeout):
            return Outcome("timeout", "another request held the connection")
        try:
            pause = 1.0
            while True:
                attempt = self._attempt(body, max(0.001, deadline - time.monotonic()))
                wait = pause * random.uniform(0.8, 1.2)  # noqa: S311 - spreads retries, hides nothing
                if not attempt.again or time.monotonic() + wait >= deadline or self._closing.wait(wait):
                    return attempt.outcome
                pause *= 2
        finally:
            self._one_at_a_time.release()

    def _attempt(self, body: bytes, timeout: float) -> Attempt:
        try:
            response = self._call(body, timeout=timeout, metadata=self._metadata, compression=self._compression)
        except grpc.RpcError as error:
            code = error.code().name
            return Attempt(Outcome(code.lower(), error.details() or code), code in _RETRYABLE)
        count, reason = rejected(response)
        return Attempt(Outcome(rejected=count, message=reason))

    def close(self) -> None:
        self._closing.set()
        if self._one_at_a_time.acquire(blocking=False):
            self._channel.close()
            self._one_at_a_time.release()


def _credentials(receiver: Otlp) -> grpc.ChannelCredentials:
    def read(file: str | None) -> bytes | None:
        return Path(file).read_bytes() if file is not None else None

    return grpc.ssl_channel_credentials(
        read(receiver.certificate), read(receiver.client_key), read(receiver.client_certificate)
    )
