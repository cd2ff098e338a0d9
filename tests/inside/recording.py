"""An ordinary SDK that keeps what it is told, and an application driven without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler
from starlette.types import ASGIApp, Message

from otelhealth.inside import TelemetryMiddleware

Points = dict[tuple[tuple[str, Any], ...], Any]


class Recording:
    """Spans and metrics as an exporter sees them."""

    def __init__(self, sampler: Sampler | None = None) -> None:
        self._spans = InMemorySpanExporter()
        self.tracers = TracerProvider(sampler, shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self._spans))
        self._reader = InMemoryMetricReader()
        self.meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self._events = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]  # it has no types
        self.loggers = LoggerProvider(shutdown_on_exit=False)
        self.loggers.add_log_record_processor(SimpleLogRecordProcessor(self._events))

    def around(self, app: ASGIApp, **settings: Any) -> TelemetryMiddleware:
        return TelemetryMiddleware(app, tracer_provider=self.tracers, meter_provider=self.meters, **settings)

    def spans(self) -> list[ReadableSpan]:
        return list(self._spans.get_finished_spans())

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Name and attributes of each event; all are in a span's context."""
        found = [each.log_record for each in self._events.get_finished_logs()]
        assert all(record.span_id for record in found)
        return [(str(record.event_name), dict(record.attributes or {})) for record in found]

    def span(self) -> ReadableSpan:
        [span] = self.spans()
        return span

    def points(self, name: str) -> Points:
        """Value, or number of values, of each series."""
        return {
            tuple(sorted((point.attributes or {}).items())): getattr(point, "count", None) or getattr(point, "value", 0)
            for point in self._data(name)
        }

    def exemplars(self, name: str) -> list[int]:
        """The span ids of all exemplars."""
        return [exemplar.span_id for point in self._data(name) for exemplar in point.exemplars]

    def metrics(self) -> list[Metric]:
        data = self._reader.get_metrics_data()
        every = data.resource_metrics if data else ()
        return [metric for resource in every for scope in resource.scope_metrics for metric in scope.metrics]

    def _data(self, name: str) -> Iterator[Any]:
        for metric in self.metrics():
            if metric.name == name:
                yield from metric.data.data_points


@dataclass
class Talk:
    """One conversation with an application: what it is told, what it says."""

    told: list[Message] = field(default_factory=list)
    said: list[Message] = field(default_factory=list)
    gone: bool = False  # the client does not listen any more

    async def receive(self) -> Message:
        if self.told:
            return self.told.pop(0)
        if not self.gone:
            await asyncio.Event().wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self.gone:
            raise OSError("the client is gone")
        self.said.append(message)

    @property
    def status(self) -> int:
        return int(next(message["status"] for message in self.said if message["type"] == "http.response.start"))

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.said if message["type"] == "http.response.body")


def scope_of(path: str, *, kind: str = "http", headers: Mapping[str, str] | None = None, **more: Any) -> dict[str, Any]:
    path, _, query = path.partition("?")
    told: Iterable[tuple[str, str]] = {"host": "shop.example:8000", **(headers or {})}.items()
    scope: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in told],
        "client": ("192.0.2.7", 4711),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }
    if kind == "http":
        scope["method"] = "GET"
    return scope | more


async def ask(app: ASGIApp, path: str, *, talk: Talk | None = None, **more: Any) -> Talk:
    """One request; what the application raises is raised."""
    talk = talk or Talk([{"type": "http.request", "body": b"", "more_body": False}])
    await app(scope_of(path, **more), talk.receive, talk.send)
    return talk
