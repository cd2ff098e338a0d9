"""One WebSocket: its server span, and what is counted of it. Frames pass as they are."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otelhealth.inside.attributes import OTHER, is_leaving, of_request
from otelhealth.inside.others import QUIET, Others, outer
from otelhealth.inside.propagation import Propagation
from otelhealth.inside.route import Routes
from otelhealth.telemetry import application as told
from otelhealth.telemetry.metric import Metric
from otelhealth.telemetry.names import ERROR_TYPE
from otelhealth.telemetry.tracing import exception_type

ABNORMAL = 1006  # neither side said why
_MOST = 500  # series of one figure: a client may close with any of 4,000 codes
Key = tuple[str, ...]


class Sockets:
    """What all WebSockets of one application share."""

    def __init__(self, tracer: Tracer, meter: Meter, routes: Routes, propagation: Propagation, others: Others) -> None:
        self.tracer = tracer
        self.routes = routes
        self.propagation = propagation
        self._others = others
        self.open: Counter[Key] = Counter()
        self.messages: Counter[Key] = Counter()
        self.closes: Counter[Key] = Counter()
        for create, metric, counts in (
            (meter.create_observable_up_down_counter, told.SOCKETS, self.open),
            (meter.create_observable_counter, told.SOCKET_MESSAGES, self.messages),
            (meter.create_observable_counter, told.SOCKET_CLOSES, self.closes),
        ):
            create(metric.name, [_reading(counts, metric)], metric.unit, metric.description)
        self.duration = told.histogram(meter, told.SOCKET_DURATION, told.LONG_SECONDS)

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application speak with its client."""
        spans = not (self._others.spans or outer(scope).spans)
        if spans:
            scope.update(QUIET)
        socket = _Socket(self, scope, receive, send, spans=spans)
        token = otel_context.attach(socket.context)
        try:
            await app(scope, socket.receive, socket.send)
        except BaseException as error:
            socket.finish(error)
            raise
        else:
            socket.finish()
        finally:
            otel_context.detach(token)

    def closed(self, route: str, code: int) -> None:
        key = (route, str(code))
        if key not in self.closes and len(self.closes) >= _MOST:
            key = (route, OTHER)
        self.closes[key] += 1


class _Socket:
    """One connection."""

    def __init__(self, sockets: Sockets, scope: Scope, receive: Receive, send: Send, *, spans: bool) -> None:
        self._sockets = sockets
        self._scope, self._receive, self._send = scope, receive, send
        self._opened = 0.0  # monotonic seconds; 0 until the application accepts
        self._status = 0
        self._code: int | None = None
        self._route = ""
        self.context = otel_context.get_current()
        self._span: trace.Span | None = None
        if spans:
            host, agent, traced = sockets.propagation.read(scope.get("headers", ()))
            if traced:
                self.context = sockets.propagation.extract(scope.get("headers", ()))
            begun = of_request(scope, host, agent)
            begun[told.METHOD] = "CONNECT" if scope.get("http_version", "1.1") >= "2" else "GET"
            begun[told.PROTOCOL] = "websocket"
            self._span = sockets.tracer.start_span("WS", self.context, SpanKind.SERVER, begun)
            self.context = trace.set_span_in_context(self._span, self.context)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.receive":
            self._count("receive", message)
        elif message["type"] == "websocket.disconnect" and self._code is None:
            self._code = message.get("code") or 1005
        return message

    async def send(self, message: Message) -> None:
        await self._send(message)
        kind = message["type"]
        if kind == "websocket.send":
            self._count("transmit", message)
        elif kind == "websocket.accept":
            self._accept()
        elif kind == "websocket.close" and self._code is None:
            self._code = message.get("code") or 1000
        elif kind == "websocket.http.response.start":
            self._status = int(message["status"])

    def _accept(self) -> None:
        self._opened = time.perf_counter()
        self._status = 200 if self._scope.get("http_version", "1.1") >= "2" else 101
        self._route = self._sockets.routes.template(self._scope) or ""
        self._sockets.open[self._route,] += 1

    def _count(self, direction: str, message: Message) -> None:
        kind = "text" if message.get("bytes") is None else "binary"
        self._sockets.messages[self._route, direction, kind] += 1

    def finish(self, error: BaseException | None = None) -> None:
        """Record its end; `error` is what left the application."""
        sockets = self._sockets
        problem = None if error is None or (self._code is not None and is_leaving(error)) else exception_type(error)
        code = self._code or ABNORMAL
        if self._opened:
            sockets.open[self._route,] -= 1
            sockets.closed(self._route, code)
            attributes = {told.ROUTE: self._route} if self._route else {}
            sockets.duration.record(time.perf_counter() - self._opened, attributes, self.context)
        elif not self._status:
            self._status = 500 if problem else 403  # the server's answer to an application that did not accept
        if self._span is not None:
            self._end(self._span, code, problem)

    def _end(self, span: trace.Span, code: int, problem: str | None) -> None:
        if route := self._route or self._sockets.routes.template(self._scope):
            span.update_name(f"WS {route}")
            span.set_attribute(told.ROUTE, route)
        span.set_attribute(told.STATUS, self._status)
        if self._opened:
            span.set_attribute(told.CLOSE_CODE, str(code))
        if problem is not None:
            span.set_attribute(ERROR_TYPE, problem)
            span.set_status(StatusCode.ERROR)
        span.end()


def _reading(counts: Counter[Key], metric: Metric) -> Callable[[CallbackOptions], Iterable[Observation]]:
    def read(_options: CallbackOptions) -> Iterator[Observation]:
        for key, count in list(counts.items()):
            named = {name: value for name, value in zip(metric.attributes, key, strict=True) if value}
            yield Observation(count, named)

    return read
