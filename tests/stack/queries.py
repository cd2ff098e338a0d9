"""Asks Jaeger, Prometheus and the Collector's log file what has arrived. Standard library only."""

import json
import urllib.error
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.stack.loopback import fetch

Value = str | int | float | bool | list[Any] | dict[str, Any] | None


def plain(value: Mapping[str, Any]) -> Value:
    """An OTLP/JSON AnyValue as the Python value it stands for; JSON carries its integers as text."""
    match next(iter(value.items()), ("empty", None)):
        case "intValue", text:
            return int(str(text))
        case "arrayValue", items:
            return [plain(item) for item in items.get("values", [])]
        case "kvlistValue", items:
            return attributes(items.get("values", []))
        case _, other:
            return other  # text, double, bool or nothing, as JSON has it


def attributes(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    return {pair["key"]: plain(pair["value"]) for pair in pairs}


@dataclass(frozen=True)
class Span:
    """Kind and status as OTLP numbers them: kind 1 internal, 2 server, 3 client; status 0 unset, 1 ok, 2 error."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    status: int
    message: str
    start: float
    end: float
    attributes: dict[str, Any] = field(default_factory=dict)
    resource: dict[str, Any] = field(default_factory=dict)
    scope: str = ""

    @property
    def service(self) -> str:
        return str(self.resource.get("service.name", ""))


def spans_in(data: Mapping[str, Any]) -> Iterator[Span]:
    for resource_spans in data.get("resourceSpans", []):
        resource = attributes(resource_spans.get("resource", {}).get("attributes", []))
        for scope_spans in resource_spans.get("scopeSpans", []):
            scope = scope_spans.get("scope", {}).get("name", "")
            for span in scope_spans.get("spans", []):
                yield _span(span, resource, scope)


def _span(span: Mapping[str, Any], resource: dict[str, Any], scope: str) -> Span:
    status = span.get("status", {})
    return Span(
        trace_id=span["traceId"],
        span_id=span["spanId"],
        parent_id=span.get("parentSpanId", ""),
        name=span["name"],
        kind=span.get("kind", 0),
        status=status.get("code", 0),
        message=status.get("message", ""),
        start=int(span["startTimeUnixNano"]) / 1e9,
        end=int(span["endTimeUnixNano"]) / 1e9,
        attributes=attributes(span.get("attributes", [])),
        resource=resource,
        scope=scope,
    )


@dataclass(frozen=True)
class JaegerApi:
    """Jaeger's /api/v3, the only one left since 2.21."""

    url: str

    def services(self) -> list[str]:
        found: list[str] = json.loads(fetch(f"{self.url}/api/v3/services")).get("services", [])
        return sorted(found)

    def search(self, service: str, since: float, until: float, limit: int = 200) -> dict[str, list[Span]]:
        """Traces by id that a service has a span in and that began between two Unix times."""
        parameters = {
            "query.service_name": service,
            "query.start_time_min": _rfc3339(since),
            "query.start_time_max": _rfc3339(until),
            "query.num_traces": limit,  # renamed in later versions,
            "query.search_depth": limit,  # and each ignores the other's name
        }
        traces: dict[str, list[Span]] = {}
        for span in self._spans("/api/v3/traces", parameters):
            traces.setdefault(span.trace_id, []).append(span)
        return traces

    def trace(self, trace_id: str) -> list[Span]:
        """The spans of one trace, root first; none when Jaeger does not know it."""
        return sorted(
            self._spans(f"/api/v3/traces/{trace_id}", {}), key=lambda span: (span.parent_id != "", span.start)
        )

    def _spans(self, path: str, parameters: Mapping[str, object]) -> list[Span]:
        try:
            body = fetch(self.url + path, parameters)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == 404:  # how the API says that there is none
                    return []
                raise
        return list(spans_in(json.loads(body).get("result", {})))


def _rfc3339(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


@dataclass(frozen=True)
class Sample:
    labels: dict[str, str]
    value: float
    time: float


@dataclass(frozen=True)
class Exemplar:
    series: dict[str, str]
    labels: dict[str, str]
    value: float
    time: float


@dataclass(frozen=True)
class PrometheusApi:
    """The questions of Prometheus' HTTP API that tests ask. Times are Unix seconds."""

    url: str

    def query(self, expression: str, at: float | None = None) -> list[Sample]:
        """An instant vector; `expression[5m]` gives every stored sample of the last five minutes, one by one."""
        data = self._data("query", {"query": expression} | ({} if at is None else {"time": at}))
        if data["resultType"] == "scalar":
            moment, value = data["result"]
            return [Sample({}, float(value), float(moment))]
        return [
            Sample(series["metric"], float(value), float(moment))
            for series in data["result"]
            for moment, value in series.get("values") or [series["value"]]
        ]

    def names(self) -> list[str]:
        found: list[str] = self._data("label/__name__/values", {})
        return found

    def config(self) -> str:
        """What it runs with at the moment."""
        text: str = self._data("status/config", {})["yaml"]
        return text

    def exemplars(self, expression: str, since: float, until: float) -> list[Exemplar]:
        data = self._data("query_exemplars", {"query": expression, "start": since, "end": until})
        return [
            Exemplar(series["seriesLabels"], one["labels"], float(one["value"]), float(one["timestamp"]))
            for series in data
            for one in series["exemplars"]
        ]

    def _data(self, question: str, parameters: Mapping[str, object]) -> Any:
        return json.loads(fetch(f"{self.url}/api/v1/{question}", parameters))["data"]


@dataclass(frozen=True)
class LogRecord:
    event: str
    severity: int
    body: Value
    trace_id: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


def logs_in(path: Path) -> list[LogRecord]:
    """The records of the Collector's file exporter; a line that is still being written is left for the next look."""
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [
        LogRecord(
            event=record.get("eventName", ""),
            severity=record.get("severityNumber", 0),
            body=plain(record.get("body", {})),
            trace_id=record.get("traceId", ""),
            attributes=attributes(record.get("attributes", [])),
            resource=attributes(resource_logs.get("resource", {}).get("attributes", [])),
        )
        for line in lines
        if line.endswith("\n")
        for resource_logs in json.loads(line)["resourceLogs"]
        for scope_logs in resource_logs.get("scopeLogs", [])
        for record in scope_logs.get("logRecords", [])
    ]
