"""The Starlette application: which path is answered by what, behind the guard."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route

from otelhealth.clock import SYSTEM, Clock
from otelhealth.model import Served
from otelhealth.server.answers import Answer, refusal
from otelhealth.server.auth import Guard
from otelhealth.server.health import Details, Live, brief, group
from otelhealth.server.metrics import Metrics
from otelhealth.server.openapi import Document
from otelhealth.server.settings import ServerSettings

_REMEDIES = {404: "the paths are in /openapi.json", 405: "the Allow header names the methods of this path"}


def _routes(served: Served, clock: Clock) -> list[Route]:
    details = Details(served, clock)
    return [
        Route("/health", brief(served, clock), methods=["GET"]),
        Route("/health/live", Live(served, clock), methods=["GET"]),
        Route("/health/ready", group("ready", served, clock), methods=["GET"]),
        Route("/health/startup", group("startup", served, clock), methods=["GET"]),
        Route("/health/detailed", details.report),
        Route("/health/checks/{name}", details.check),
        Route("/health/checks/{name}/history", details.history),
        Route("/health/checks/{name}/run", details.run, methods=["POST"]),
        Route("/metrics", Metrics(served), methods=["GET"]),
        Route("/openapi.json", Document(), methods=["GET"]),
    ]


async def _refused(_request: Request, error: Exception) -> Answer:
    """What Starlette itself refuses: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    allow = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
    extra = [(b"allow", allow.encode())] if allow else None
    return refusal(error.status_code, error.detail.lower(), _REMEDIES.get(error.status_code, ""), extra)


async def _broken(_request: Request, _error: Exception) -> Answer:
    return refusal(500, "the agent could not answer", "the reason is in its log; please report it as a bug")


def create_app(served: Served, settings: ServerSettings, clock: Clock = SYSTEM) -> Starlette:
    """All endpoints over what `served` knows."""
    app = Starlette(
        routes=_routes(served, clock),
        middleware=[Middleware(Guard, settings=settings)],
        exception_handlers={HTTPException: _refused, Exception: _broken},
    )
    app.router.redirect_slashes = False  # a redirect would be built from whatever Host the client sends
    return app
