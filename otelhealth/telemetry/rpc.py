"""OTLP/gRPC: the same encoded requests as raw bytes through one unary call."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

from otelhealth.errors import MissingLibraryError
from otelhealth.telemetry.sender import Attempt, Outcome, Retrying
from otelhealth.telemetry.settings import Otlp, SignalName
from otelhealth.telemetry.wire import rejected

try:
    import grpc  # type: ignore[import-untyped] # its stubs are another package
except ImportError as missing:
    raise MissingLibraryError("grpcio", "grpc") from missing

_METHODS: dict[SignalName, str] = {
    "traces": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "metrics": "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
    "logs": "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
}
_RETRYABLE = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "OUT_OF_RANGE", "DATA_LOSS", "CANCELLED"}
)


class GrpcSender(Retrying):
    """Sends one signal; the channel connects by itself and again."""

    def __init__(self, signal: SignalName, receiver: Otlp) -> None:
        super().__init__(receiver.timeout)
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

    def _attempt(self, body: bytes, timeout: float) -> Attempt:
        try:
            answer = self._call(body, timeout=timeout, metadata=self._metadata, compression=self._compression)
        except grpc.RpcError as error:
            code = error.code().name
            outcome = Outcome(code.lower(), error.details() or code)
            return Attempt(outcome, 0.0 if code in _RETRYABLE else None)
        count, reason = rejected(answer)
        return Attempt(Outcome(rejected=count, message=reason))

    def close(self) -> None:
        super().close()
        if self._one_at_a_time.acquire(blocking=False):
            self._channel.close()
            self._one_at_a_time.release()


def _credentials(receiver: Otlp) -> grpc.ChannelCredentials:
    def read(file: str | None) -> bytes | None:
        return Path(file).read_bytes() if file is not None else None

    return grpc.ssl_channel_credentials(
        read(receiver.certificate), read(receiver.client_key), read(receiver.client_certificate)
    )
