"""What services tell: the official encoders' own bytes, in protobuf and in JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Self

from google.protobuf.json_format import MessageToDict  # type: ignore[import-untyped]  # its stubs are another package
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from otelhealth.telemetry.distribution import Explicit, Exponential
from otelhealth.telemetry.point import OLD, STABLE, Named
from otelhealth.telemetry.reading import read
from otelhealth.telemetry.reading_json import read_json

__all__ = ["OLD", "STABLE"]
DELTA, CUMULATIVE = 1, 2
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
NANO = 1_000_000_000
Values = Mapping[str, str | int]
GET: Values = {"http.request.method": "GET", "http.response.status_code": 200}


def key_values(values: Values) -> list[KeyValue]:
    found = [KeyValue(key=key) for key in values]
    for pair, value in zip(found, values.values(), strict=True):
        if isinstance(value, int):
            pair.value.int_value = value
        else:
            pair.value.string_value = value
    return found


class Told:
    """One request for metrics, made metric by metric."""

    def __init__(self, **resource: str) -> None:
        self.request = ExportMetricsServiceRequest()
        part = self.request.resource_metrics.add()
        part.resource.attributes.extend(key_values(resource or {"service.name": "shop"}))
        self._scope = part.scope_metrics.add()
        self._scope.scope.name = "fastapi"

    def requests(self, buckets: Explicit | Exponential, name: str = STABLE, **told: Any) -> Self:
        """One point: `temporality`, `unit`, `start` and `at` (s), `attributes`, and its own `sum`, `min`, `max`."""
        metric = self._scope.metrics.add(name=name, unit=told.pop("unit", "s"))
        shape = metric.histogram if isinstance(buckets, Explicit) else metric.exponential_histogram
        shape.aggregation_temporality = told.pop("temporality", DELTA)
        point: Any = shape.data_points.add(
            start_time_unix_nano=int(told.pop("start", 0) * NANO),
            time_unix_nano=int(told.pop("at", 1) * NANO),
            attributes=key_values(told.pop("attributes", GET)),
            count=told.pop("count", sum(buckets.counts) + getattr(buckets, "zero", 0)),
            **told,
        )
        if isinstance(buckets, Explicit):
            point.explicit_bounds.extend(buckets.bounds)
            point.bucket_counts.extend(buckets.counts)
        else:
            point.scale, point.zero_count, point.positive.offset = buckets.scale, buckets.zero, buckets.offset
            point.positive.bucket_counts.extend(buckets.counts)
        return self

    def gauge(self, name: str, value: float) -> Self:
        self._scope.metrics.add(name=name, unit="1").gauge.data_points.add(as_double=value)
        return self

    def protobuf(self) -> bytes:
        return bytes(self.request.SerializeToString())

    def json(self) -> bytes:
        """As OTLP spells it: enums are numbers, long numbers are text."""
        return json.dumps(MessageToDict(self.request, use_integers_for_enums=True)).encode()

    def points(self) -> list[Named]:
        """As read from protobuf; those read from JSON are the same, but for the name of their series."""
        found, spelt = read(self.protobuf()), read_json(self.json())
        assert [(name, point._replace(series=b"")) for name, point in found] == [
            (name, point._replace(series=b"")) for name, point in spelt
        ]
        assert len({point.series for _, point in found}) == len({point.series for _, point in spelt})
        return found


def traces(count: int = 1) -> bytes:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(count):
        scope.spans.add(name=f"GET /items/{number}", trace_id=bytes(16), span_id=number.to_bytes(8, "big"))
    return bytes(request.SerializeToString())


def logs() -> bytes:
    request = ExportLogsServiceRequest()
    request.resource_logs.add().scope_logs.add().log_records.add(severity_text="INFO")
    return bytes(request.SerializeToString())
