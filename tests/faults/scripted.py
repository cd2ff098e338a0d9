"""What has arrived at a receiver, and of whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.faults.load import SCOPE
from tests.telemetry.receiver import Receiver, attributes, points

_FORMS: dict[str, tuple[Any, str, str]] = {
    "/v1/traces": (ExportTraceServiceRequest, "resource_spans", "scope_spans"),
    "/v1/logs": (ExportLogsServiceRequest, "resource_logs", "scope_logs"),
    "/v1/metrics": (ExportMetricsServiceRequest, "resource_metrics", "scope_metrics"),
}


@dataclass
class Arrived:
    """Of one service: how often each item came, and when the collections of metrics were made (Unix seconds)."""

    spans: Counter[str]
    logs: Counter[str]
    collections: dict[tuple[int, int], float]  # (start time, number) -> time

    def lost(self, mark: str, numbers: Iterable[int]) -> tuple[int, int]:
        """Spans and log records of these numbers that never came."""
        names = [f"{mark}-{number}" for number in numbers]
        return sum(name not in self.spans for name in names), sum(name not in self.logs for name in names)

    @property
    def duplicates(self) -> int:
        return sum(count - 1 for count in (*self.spans.values(), *self.logs.values()))

    @property
    def longest_gap(self) -> float:
        """Between two collections of metrics."""
        times = sorted(self.collections.values())
        return max((late - early for early, late in pairwise(times)), default=0.0)


def arrived(receiver: Receiver, service: str) -> Arrived:
    """What the load program in that service made, came, and was answered 200."""
    found = Arrived(Counter(), Counter(), {})
    for request in list(receiver.requests):
        if request.answered == 200:
            _read(request.path, request.body, service, found)
    return found


def _read(path: str, body: bytes, service: str, into: Arrived) -> None:
    for scope in _scopes(path, body, service):
        if path == "/v1/traces":
            into.spans.update(span.name for span in scope.spans)
        elif path == "/v1/logs":
            into.logs.update(record.body.string_value for record in scope.log_records)
        else:
            found = [metric for metric in scope.metrics if metric.name == "faults.collections"]
            for point in (point for metric in found for point in points(metric)):
                into.collections[point.start_time_unix_nano, point.as_int] = point.time_unix_nano / 1e9


def _scopes(path: str, body: bytes, service: str) -> Iterator[Any]:
    request, resources, scopes = _FORMS[path]
    for resource in getattr(request.FromString(body), resources):
        if attributes(resource.resource.attributes).get("service.name") == service:
            yield from (scope for scope in getattr(resource, scopes) if scope.scope.name == SCOPE)
