# ruff: noqa: TID251 - this is a user's service, which traces itself with the ordinary SDK
"""How a service traces itself: the SDK, set up by the `OTEL_*` variables, and a SERVER span around each request."""

from __future__ import annotations

import time

from opentelemetry import metrics, propagate, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from starlette.types import ASGIApp, Message, Receive, Scope, Send


def set_up() -> None:
    """Traces and metrics go where OTEL_EXPORTER_OTLP_ENDPOINT says; what is left is sent at the end of the program."""
    tracers = TracerProvider()
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(tracers)
    metrics.set_meter_provider(MeterProvider([PeriodicExportingMetricReader(OTLPMetricExporter())]))


class Traced:
    """Continues the trace of whoever asks: a check's trace goes on in here."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.tracer = trace.get_tracer("shop")
        self.duration = metrics.get_meter("shop").create_histogram("http.server.request.duration", "s")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun = time.perf_counter()
        told: dict[str, str | int] = {"http.request.method": scope["method"], "url.scheme": scope["scheme"]}
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        with self.tracer.start_as_current_span(
            scope["method"], propagate.extract(headers), SpanKind.SERVER, told | {"url.path": scope["path"]}
        ) as span:

            async def send_and_note(message: Message) -> None:
                if message["type"] == "http.response.start":
                    told["http.response.status_code"] = message["status"]
                await send(message)

            try:
                await self.app(scope, receive, send_and_note)
            finally:
                if route := getattr(scope.get("route"), "path", None):
                    told["http.route"] = route
                    span.update_name(f"{scope['method']} {route}")
                if int(told.get("http.response.status_code", 500)) >= 500:
                    told["error.type"] = str(told.get("http.response.status_code", "500"))
                    span.set_status(StatusCode.ERROR)
                span.set_attributes(told)
                self.duration.record(time.perf_counter() - begun, told)
