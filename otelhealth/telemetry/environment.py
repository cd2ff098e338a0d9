"""The standard `OTEL_*` variables, as values of our settings.

What cannot be read is said once and ignored, as the specification asks.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from otelhealth.checks.request import header_problem
from otelhealth.spool.settings import SIGNALS, endpoint
from otelhealth.telemetry.resource import pairs

_log = logging.getLogger(__name__)
Path = tuple[str, ...]


def overrides(environ: Mapping[str, str]) -> Iterator[tuple[Path, Any]]:
    """(path in TelemetrySettings, value) for each variable that is set, general ones first."""
    path: Path
    for signal in ("", *SIGNALS):
        mark = f"{signal.upper()}_" if signal else ""
        for suffix, (field, read) in _RECEIVER.items():
            path = (signal, "otlp", field) if signal else ("otlp", field)
            yield from _read(environ, f"OTEL_EXPORTER_OTLP_{mark}{suffix}", path, read)
    for name, (path, read) in _SIGNALS.items():
        yield from _read(environ, name, path, read)
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        for signal in SIGNALS:
            yield (signal, "enabled"), False


def _read(environ: Mapping[str, str], name: str, path: Path, read: Callable[[str], Any]) -> Iterator[tuple[Path, Any]]:
    value = environ.get(name, "").strip()
    if not value:
        return
    try:
        yield path, read(value)
    except ValueError as error:
        # the value may be a credential, the sentence of `read` shows it only where it cannot be one
        _log.warning("%s is ignored: %s", name, error)


def _headers(value: str) -> dict[str, str]:
    found = pairs(value)
    if not found:
        raise ValueError("no header found; write name=value,name=value")
    for name, text in found.items():
        if problem := header_problem(name, text):
            raise ValueError(problem)
    return found


def _one_of(*allowed: str) -> Callable[[str], str]:
    def read(value: str) -> str:
        if value.lower() not in allowed:
            raise ValueError(f"{value!r} is none of {', '.join(allowed)}")
        return value.lower()

    return read


def _seconds(value: str) -> str:
    return f"{_positive(value):f}s"


def _milliseconds(value: str) -> str:
    return f"{_positive(value):f}ms"


def _positive(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise ValueError(f"{value!r} is not a positive number")
    return number


def _count(value: str) -> int:
    return max(1, int(_positive(value)))


def _sent(value: str) -> bool:
    return _one_of("otlp", "none")(value) == "otlp"


_RECEIVER: dict[str, tuple[str, Callable[[str], Any]]] = {
    "ENDPOINT": ("endpoint", endpoint),
    "HEADERS": ("headers", _headers),
    "PROTOCOL": ("protocol", _one_of("http/protobuf", "grpc")),
    "TIMEOUT": ("timeout", _seconds),
    "COMPRESSION": ("compression", _one_of("gzip", "none")),
    "CERTIFICATE": ("certificate", str),
    "CLIENT_CERTIFICATE": ("client_certificate", str),
    "CLIENT_KEY": ("client_key", str),
}
_SIGNALS: dict[str, tuple[Path, Callable[[str], Any]]] = {
    "OTEL_TRACES_EXPORTER": (("traces", "enabled"), _sent),
    "OTEL_METRICS_EXPORTER": (("metrics", "enabled"), _sent),
    "OTEL_LOGS_EXPORTER": (("logs", "enabled"), _sent),
    "OTEL_BSP_SCHEDULE_DELAY": (("traces", "delay"), _milliseconds),
    "OTEL_BSP_MAX_QUEUE_SIZE": (("traces", "max_queue"), _count),
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": (("traces", "max_batch"), _count),
    "OTEL_BLRP_SCHEDULE_DELAY": (("logs", "delay"), _milliseconds),
    "OTEL_BLRP_MAX_QUEUE_SIZE": (("logs", "max_queue"), _count),
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": (("logs", "max_batch"), _count),
    "OTEL_METRIC_EXPORT_INTERVAL": (("metrics", "interval"), _milliseconds),
}
