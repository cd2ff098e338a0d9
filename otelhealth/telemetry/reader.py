"""Reads the application's own request metrics back: a second reader whose deltas feed the windows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opentelemetry.sdk.metrics import (
    Counter,
    Histogram,
    ObservableCounter,
    ObservableGauge,
    ObservableUpDownCounter,
    UpDownCounter,
)
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogramDataPoint,
    MetricReader,
    MetricsData,
)
from opentelemetry.sdk.metrics.view import DropAggregation, ExponentialBucketHistogramAggregation

from otelhealth.telemetry.distribution import Distribution, Exponential
from otelhealth.telemetry.point import STABLE, failed, is_probe
from otelhealth.telemetry.windows import APPLICATION, Windows

# at 160, the default, requests between 1 ms and 10 s make buckets 9 % wide; at 1,280 they are 1 %
_BUCKETS = 1_280
_OTHERS = (Counter, UpDownCounter, ObservableCounter, ObservableUpDownCounter, ObservableGauge)


class WindowReader(MetricReader):
    """Collected by a thread of its own (see SdkProviders.read), never by the event loop."""

    def __init__(self, windows: Windows) -> None:
        super().__init__(
            preferred_temporality={Histogram: AggregationTemporality.DELTA},
            preferred_aggregation={
                Histogram: ExponentialBucketHistogramAggregation(max_size=_BUCKETS),
                **dict.fromkeys(_OTHERS, DropAggregation()),
            },
        )
        self._windows = windows

    def _receive_metrics(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> None:  # noqa: ARG002 - the base class names it
        for point in _points(metrics_data):
            attributes = point.attributes or {}
            if not is_probe(attributes):
                errors = point.count if failed(attributes) else 0
                self._windows.merge(APPLICATION, _durations(point).parts(), errors, point.sum)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        """Nothing is held."""


def _points(data: MetricsData) -> Iterator[ExponentialHistogramDataPoint]:
    for resource in data.resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == STABLE:
                    yield from (
                        point for point in metric.data.data_points if isinstance(point, ExponentialHistogramDataPoint)
                    )


def _durations(point: ExponentialHistogramDataPoint) -> Distribution:
    positive = point.positive
    buckets = Exponential(point.scale, point.zero_count, positive.offset, positive.bucket_counts)
    return Distribution(point.count, point.sum, buckets, point.min, point.max)
