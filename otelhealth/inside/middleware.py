"""The ASGI middleware: traces and measures what an application answers, on the OpenTelemetry API alone."""

from __future__ import annotations

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider
from starlette.types import ASGIApp, Receive, Scope, Send

from otelhealth.inside.attributes import route_path
from otelhealth.inside.others import Others, find, has_providers
from otelhealth.inside.propagation import Propagation
from otelhealth.inside.requests import Observe, Requests
from otelhealth.inside.route import Routes, follow_quart
from otelhealth.inside.sockets import Sockets
from otelhealth.probes import is_probed
from otelhealth.telemetry.names import SCOPE
from otelhealth.version import __version__

SCHEMA = "https://opentelemetry.io/schemas/1.44.0"
SEEN = "otelhealth.seen"  # in the scope of a request that a middleware of ours has


class TelemetryMiddleware:
    """Around any ASGI application: a server span and a duration for each request, by the stable conventions; figures of
    its WebSockets.

    Without providers those of the process are used. What `others` record is not recorded again; without them they are
    looked for at the first request. Requests for `/health`, `/healthz`, `/metrics` and `/ping` pass through.
    """

    def __init__(  # noqa: PLR0913 - each has a default that fits
        self,
        app: ASGIApp,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        websocket: bool = True,
        others: Others | None = None,
        observe: Observe | None = None,
    ) -> None:
        self.app = app
        self._providers = tracer_provider, meter_provider
        self._websocket = websocket
        self._observe = observe
        self._sockets: Sockets | None = None
        self._requests = None if others is None else self._make(others)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = scope["type"]
        if kind not in ("http", "websocket") or SEEN in scope or is_probed(route_path(scope)):
            await self.app(scope, receive, send)
            return
        scope[SEEN] = True
        requests = self._requests
        if requests is None:
            requests = self._requests = self._make(find(self.app, providers=has_providers()))
        if kind == "http":
            await requests.serve(self.app, scope, receive, send)
        elif self._sockets is not None:
            await self._sockets.serve(self.app, scope, receive, send)
        else:
            await self.app(scope, receive, send)

    def _make(self, others: Others) -> Requests:
        tracers, meters = self._providers
        tracer = trace.get_tracer(SCOPE, __version__, tracers, SCHEMA)
        meter = metrics.get_meter(SCOPE, __version__, meters, SCHEMA)
        routes, propagation = Routes(), Propagation()
        follow_quart()
        if self._websocket:
            self._sockets = Sockets(tracer, meter, routes, propagation, others)
        return Requests(tracer, meter, routes, propagation, others, self._observe)
