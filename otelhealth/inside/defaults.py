"""What an instrumented process is told through the environment where its user has not said otherwise."""

from __future__ import annotations

from collections.abc import MutableMapping

from otelhealth import probes

NAME = "otelhealth"  # of our distro, configurator and resource detector
_DETECTORS = "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"
DEFAULTS = {
    "OTEL_PYTHON_DISTRO": NAME,
    "OTEL_PYTHON_CONFIGURATOR": NAME,
    "OTEL_TRACES_EXPORTER": "otlp",
    "OTEL_METRICS_EXPORTER": "otlp",
    "OTEL_LOGS_EXPORTER": "otlp",
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_SEMCONV_STABILITY_OPT_IN": "http,database",
    "OTEL_PYTHON_EXCLUDED_URLS": probes.URL,
    "OTEL_METRIC_EXPORT_INTERVAL": "10000",  # ms: the slots of the performance figures
    "OTEL_BSP_SCHEDULE_DELAY": "1000",  # ms: what a kill -9 may lose
    "OTEL_BLRP_SCHEDULE_DELAY": "1000",
}


def set_defaults(environ: MutableMapping[str, str]) -> None:
    for name, value in DEFAULTS.items():
        environ.setdefault(name, value)
    named = [part.strip() for part in environ.get(_DETECTORS, "").split(",") if part.strip()]
    if NAME not in named:
        environ[_DETECTORS] = ",".join((NAME, *named))
