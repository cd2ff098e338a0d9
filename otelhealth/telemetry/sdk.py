"""The SDK for user code: what a check, a plug-in or an application makes through the global API.

Loaded when the first of them is made: an agent without such code spares 12 MB and 100 ms.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from typing import Any, TypedDict

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    Gauge,
    HistogramDataPoint,
    Metric,
    MetricExporter,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    PeriodicExportingMetricReader,
    Sum,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramData
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otelhealth.model import Attributes, HistogramValue, Instrument, MetricFamily, MetricPoint
from otelhealth.spool import SignalName
from otelhealth.telemetry.reader import WindowReader
from otelhealth.telemetry.sender import Sender
from otelhealth.telemetry.session import session_over
from otelhealth.telemetry.settings import Batched, TelemetrySettings
from otelhealth.telemetry.windows import SLOT, Windows

_URL = "http://otelhealth/"  # never dialled: the session's adapter takes the request
_WAITING = 0.7  # of the delay: the SDK spends the rest on encoding and handing over, and a crash may lose no more


class SdkProviders:
    """The three providers, on the agent's resource and senders."""

    def __init__(
        self,
        settings: TelemetrySettings,
        resource: Mapping[str, str],
        senders: Mapping[SignalName, Sender],
        windows: Windows,
    ) -> None:
        made = Resource(dict(resource))
        sessions = {signal: session_over(sender) for signal, sender in senders.items()}
        self.tracers = TracerProvider(resource=made, shutdown_on_exit=False)
        if session := sessions.get("traces"):
            exporter = OTLPSpanExporter(_URL, compression=Compression.NoCompression, session=session)
            self.tracers.add_span_processor(BatchSpanProcessor(exporter, **_batches(settings.traces)))
        self.loggers = LoggerProvider(resource=made, shutdown_on_exit=False)
        if session := sessions.get("logs"):
            logs = OTLPLogExporter(_URL, compression=Compression.NoCompression, session=session)
            self.loggers.add_log_record_processor(BatchLogRecordProcessor(logs, **_batches(settings.logs)))
        session = sessions.get("metrics")
        self._latest = _Latest(
            OTLPMetricExporter(_URL, compression=Compression.NoCompression, session=session) if session else None
        )
        self._windows = WindowReader(windows)
        exported = PeriodicExportingMetricReader(self._latest, export_interval_millis=settings.metrics.interval * 1000)
        self.meters = MeterProvider([exported, self._windows], resource=made, shutdown_on_exit=False)
        self._closing = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="otelhealth-windows", daemon=True)
        self._ticker.start()

    def _tick(self) -> None:
        while not self._closing.wait(SLOT):
            self.read()

    def read(self) -> None:
        """Bring the requests since the last time into the windows."""
        self._windows.collect()

    def families(self) -> Iterator[MetricFamily]:
        """The application's metrics as last exported, at most one interval ago: nothing is collected here."""
        yield from self._latest.families()

    def close(self, timeout: float) -> threading.Thread | None:
        """Shut down in a thread that may be left behind: `force_flush` and `shutdown` of the SDK know no time limit.

        None: it is done, in this thread, because the interpreter ends and starts no more of them.
        """
        self._closing.set()
        thread = threading.Thread(target=self._shutdown, args=(timeout,), name="otelhealth-sdk-stop", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._shutdown(timeout)
            return None
        return thread

    def _shutdown(self, timeout: float) -> None:
        self.tracers.shutdown()
        self.meters.shutdown(timeout_millis=timeout * 1000)
        self.loggers.shutdown()


def _batches(settings: Batched) -> _Batches:
    return {
        "schedule_delay_millis": settings.delay * _WAITING * 1000,
        "max_queue_size": settings.max_queue,
        "max_export_batch_size": min(settings.max_batch, settings.max_queue),
    }


class _Batches(TypedDict):
    schedule_delay_millis: float
    max_queue_size: int
    max_export_batch_size: int


class _Latest(MetricExporter):
    """Keeps what was exported last, for `/metrics`."""

    def __init__(self, exporter: MetricExporter | None) -> None:
        super().__init__()
        self._exporter = exporter
        self._data: MetricsData | None = None

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        self._data = metrics_data
        if self._exporter is None:
            return MetricExportResult.SUCCESS
        return self._exporter.export(metrics_data, timeout_millis, **kwargs)

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._exporter is None or self._exporter.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        if self._exporter is not None:
            self._exporter.shutdown(timeout_millis, **kwargs)

    def families(self) -> Iterator[MetricFamily]:
        for resource in self._data.resource_metrics if self._data else ():
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if kind := _kind(metric):
                        points = [_point(point) for point in metric.data.data_points]  # type: ignore[arg-type]  # sums and gauges hold number points
                        yield MetricFamily(metric.name, metric.unit or "", kind, metric.description or "", points)


def _kind(metric: Metric) -> Instrument | None:
    """None for exponential histograms: the text format of `/metrics` has no word for them."""
    match metric.data:
        case Gauge():
            return "gauge"
        case Sum(is_monotonic=monotonic):
            return "counter" if monotonic else "updowncounter"
        case HistogramData():
            return "histogram"
    return None


def _point(point: NumberDataPoint | HistogramDataPoint) -> MetricPoint:
    attributes: Attributes = tuple((key, str(value)) for key, value in sorted((point.attributes or {}).items()))
    if isinstance(point, NumberDataPoint):
        return MetricPoint(attributes, float(point.value))
    return MetricPoint(attributes, HistogramValue(point.explicit_bounds, point.bucket_counts, point.sum))
