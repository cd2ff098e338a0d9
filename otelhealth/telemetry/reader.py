"""Reads the application's own request metrics back: a second reader whose deltas feed the windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opentelemetry.sdk.metrics import Histogram
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    MetricReader,
    MetricsData,
)
from opentelemetry.sdk.metrics.view import DropAggregation, ExponentialBucketHistogramAggregation

from otelhealth.telemetry.windows import APPLICATION, Windows

REQUESTS = "http.server.request.duration"
# at 160, the default, requests between 1 ms and 10 s make buckets 9 % wide; at 1,280 they are 1 %
_BUCKETS = 1_280


class WindowReader(MetricReader):
    """Collected by a thread of its own (see SdkProviders.tick), never by the event loop."""

    def __init__(self, windows: Windows) -> None:
        from opentelemetry.sdk import metrics  # noqa: PLC0415 - the classes that are not read

        others = (
            metrics.Counter,
            metrics.UpDownCounter,
            metrics.ObservableCounter,
            metrics.ObservableUpDownCounter,
            metrics.ObservableGauge,
        )
        super().__init__(
            preferred_temporality={Histogram: AggregationTemporality.DELTA},
            preferred_aggregation={
                Histogram: ExponentialBucketHistogramAggregation(max_size=_BUCKETS),
                **{kind: DropAggregation() for kind in others},
            },
        )
        self._windows = windows

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:  # noqa: ARG002 - the base class names it
        for point in _points(metrics_data):
            failed = point.count if _failed(point) else 0
            self._windows.merge(APPLICATION, list(_values(point)), failed)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing is held."""


def _points(data: MetricsData) -> Iterator[ExponentialHistogramDataPoint]:
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == REQUESTS:
                    yield from (
                        point for point in metric.data.data_points if isinstance(point, ExponentialHistogramDataPoint)
                    )


def _failed(point: ExponentialHistogramDataPoint) -> bool:
    """A server's error: status 500 and above, or an exception."""
    attributes = point.attributes or {}
    status = attributes.get("http.response.status_code", 0)
    return "error.type" in attributes or (isinstance(status, int) and status >= 500)


def _values(point: ExponentialHistogramDataPoint) -> Iterator[tuple[float, int]]:
    """(duration, how many), each bucket by its middle, scaled so that their sum is the point's."""
    base = 2.0 ** (2.0**-point.scale)
    if point.zero_count:
        yield 0.0, point.zero_count
    for position, count in enumerate(point.positive.bucket_counts):
        if count:
            yield base ** (point.positive.offset + position) * 2 * base / (1 + base), count
