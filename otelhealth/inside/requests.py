"""One HTTP request: its server span and its duration, from its scope to the last byte of its answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.metrics import CallbackOptions, Meter, Observation
from opentelemetry.trace import SpanKind, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otelhealth.inside.attributes import OTHER, is_leaving, known_methods, of_request
from otelhealth.inside.others import QUIET, Others, outer
from otelhealth.inside.propagation import Propagation
from otelhealth.inside.route import Routes
from otelhealth.probes import is_prober
from otelhealth.telemetry import application as told
from otelhealth.telemetry.names import ERROR_TYPE
from otelhealth.telemetry.tracing import exception_type

UNSEEN = "otelhealth.unseen"  # in the scope of a request that turns out to be for the application's health
INCOMPLETE = "incomplete_response"
Observe = Callable[[float, bool], None]  # seconds, whether it failed


class Requests:
    """What all requests of one application share. What `others` record is not recorded here."""

    def __init__(  # noqa: PLR0913, PLR0917 - made by the middleware only
        self,
        tracer: Tracer,
        meter: Meter,
        routes: Routes,
        propagation: Propagation,
        others: Others,
        observe: Observe | None,
    ) -> None:
        self.tracer = tracer
        self.routes = routes
        self.propagation = propagation
        self.observe = observe
        self.methods = known_methods()
        self.active: dict[tuple[str, str], int] = {}
        self._others = others
        if not others.figures:
            self.duration = told.histogram(meter, told.REQUESTS, told.REQUEST_SECONDS)
            metric = told.REQUESTS_ACTIVE
            meter.create_observable_up_down_counter(
                metric.name, [self._observe_active], metric.unit, metric.description
            )

    async def serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer."""
        around = outer(scope)
        spans = not (self._others.spans or around.spans)
        figures = not (self._others.figures or around.figures)
        if not spans and not figures and self.observe is None:
            await app(scope, receive, send)
            return
        if spans and figures:
            scope.update(QUIET)
        exchange = Exchange(self, scope, receive, send, spans=spans, figures=figures)
        token = otel_context.attach(exchange.context)
        try:
            await app(scope, exchange.receive, exchange.send)
        except BaseException as error:
            exchange.finish(error)
            raise
        else:
            exchange.finish()
        finally:
            otel_context.detach(token)

    def _observe_active(self, _options: CallbackOptions) -> Iterable[Observation]:
        for (method, scheme), count in list(self.active.items()):
            yield Observation(count, {told.METHOD: method, told.SCHEME: scheme})


class Exchange:
    """One request on its way. Used by the tasks of this request alone."""

    __slots__ = (
        *("_answered", "_begun", "_disconnected", "_done", "_ended", "_figures", "_key", "_probe", "_receive"),
        *("_requests", "_scope", "_send", "_span", "_status", "_trailers", "context"),
    )

    def __init__(  # noqa: PLR0913 - made in one place, above
        self, requests: Requests, scope: Scope, receive: Receive, send: Send, *, spans: bool, figures: bool
    ) -> None:
        self._begun = time.perf_counter()
        self._ended = 0.0
        self._requests = requests
        self._scope, self._receive, self._send = scope, receive, send
        self._status = 0
        self._answered = self._done = self._trailers = self._disconnected = False
        said: str = scope["method"]
        method = said if said in requests.methods else OTHER
        host, agent, traced = requests.propagation.read(scope.get("headers", ()))
        self._probe = is_prober(agent)
        self._figures = figures and not self._probe
        self._key = (method, scope.get("scheme", "http"))
        if self._figures:
            requests.active[self._key] = requests.active.get(self._key, 0) + 1
        self._span: trace.Span | None = None
        self.context = otel_context.get_current()
        if spans:
            if traced:
                self.context = requests.propagation.extract(scope.get("headers", ()))
            begun = of_request(scope, host, agent)
            begun[told.METHOD] = method
            if method is OTHER:
                begun["http.request.method_original"] = said[:64]
            self._span = requests.tracer.start_span(_verb(method), self.context, SpanKind.SERVER, begun)
            self.context = trace.set_span_in_context(self._span, self.context)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self._disconnected = True
        return message

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._status = int(message["status"])
            self._trailers = message.get("trailers", False)
        try:
            await self._send(message)
        except OSError:  # how a server says that nobody listens any more
            self._disconnected = True
            raise
        if _ends(kind, message, self._trailers):
            self._answered = True
            self._ended = time.perf_counter()
            if self._status < 500:  # else the exception behind it may still be on its way to here
                self.finish()

    def finish(self, error: BaseException | None = None) -> None:
        """Record it, once; `error` is what left the application."""
        if self._done:
            return
        self._done = True
        requests = self._requests
        if self._figures:
            requests.active[self._key] -= 1
        if UNSEEN in self._scope:  # a span that is not ended is not exported
            return
        took = (self._ended or time.perf_counter()) - self._begun
        problem = self._problem(error)
        found = self._found(problem)
        if self._span is not None:
            self._end(self._span, found, problem)
        if self._figures:
            found[told.METHOD], found[told.SCHEME] = self._key
            if version := self._scope.get("http_version"):
                found[told.VERSION] = version
            requests.duration.record(took, found, self.context)
        if requests.observe is not None and not self._probe:
            requests.observe(took, problem is not None)

    def _problem(self, error: BaseException | None) -> str | None:
        """`error.type`: an exception that left the application, a 5xx, an answer that was not given or broke off."""
        if error is not None and not (self._disconnected and is_leaving(error)):
            if not self._status and isinstance(error, Exception):
                self._status = 500  # what the server answers in the application's place
            return exception_type(error)
        if self._status >= 500:
            return str(self._status)
        return None if self._answered or self._disconnected else INCOMPLETE

    def _found(self, problem: str | None) -> dict[str, AttributeValue]:
        found: dict[str, AttributeValue] = {}
        if route := self._requests.routes.template(self._scope):
            found[told.ROUTE] = route
        if self._status:
            found[told.STATUS] = self._status
        if problem is not None:
            found[ERROR_TYPE] = problem
        return found

    def _end(self, span: trace.Span, found: dict[str, AttributeValue], problem: str | None) -> None:
        if route := found.get(told.ROUTE):
            span.update_name(f"{_verb(self._key[0])} {route}")
        span.set_attributes(found)
        if problem is not None:
            span.set_status(StatusCode.ERROR)
        span.end()


def _verb(method: str) -> str:
    return "HTTP" if method is OTHER else method


def _ends(kind: str, message: Message, trailers: bool) -> bool:
    """Whether this is the last message of an answer."""
    if kind in ("http.response.body", "http.response.zerocopysend"):
        return not trailers and not message.get("more_body", False)
    if kind == "http.response.trailers":
        return not message.get("more_trailers", False)
    return kind == "http.response.pathsend"
