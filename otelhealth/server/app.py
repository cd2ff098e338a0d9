"""The Starlette application: which path is answered by what, behind the guard."""

from __future__ import annotations

from functools import partial

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.routing import Route

from otelhealth.clock import SYSTEM, Clock
from otelhealth.model import Served
from otelhealth.records import BriefReport, CheckRecord, GroupReport, HealthReport, History, LiveReport
from otelhealth.server.auth import Guard
from otelhealth.server.health import Details, Live, brief, group
from otelhealth.server.metrics import OPEN_METRICS, TEXT, Metrics
from otelhealth.server.openapi import Document, Operation
from otelhealth.server.responses import JSON, Response, refusal
from otelhealth.server.settings import ServerSettings

_probe = partial(Operation, codes=(200, 503), public=True)
OPERATIONS: tuple[Operation, ...] = (
    _probe("/health", brief, BriefReport, "State of the service: 200 when healthy or degraded, else 503."),
    _probe("/health/live", Live, LiveReport, "Whether this process works; never looks outside it."),
    _probe("/health/ready", partial(group, "ready"), GroupReport, "Whether the `ready` checks let requests come."),
    _probe("/health/startup", partial(group, "startup"), GroupReport, "Whether the `startup` checks have passed."),
    Operation(
        "/health/detailed",
        lambda *of: Details(*of).report,
        HealthReport,
        "All checks, performance, summary and score; status code as `/health`.",
        codes=(200, 503),
    ),
    Operation(
        "/health/checks/{name}",
        lambda *of: Details(*of).check,
        CheckRecord,
        "One check.",
        refusals=(404,),
        parameters=("name",),
    ),
    Operation(
        "/health/checks/{name}/history",
        lambda *of: Details(*of).history,
        History,
        "Its past runs and state changes, newest first.",
        refusals=(400, 404, 503),
        media=(JSON,),
        parameters=("name", "since", "limit"),
    ),
    Operation(
        "/health/checks/{name}/run",
        lambda *of: Details(*of).run,
        CheckRecord,
        "Run it now; answers with its record after that run.",
        refusals=(404, 409, 429, 503),
        method="POST",
        parameters=("name",),
    ),
    Operation(
        "/metrics",
        lambda served, _clock: Metrics(served),
        str,
        "Prometheus text, or OpenMetrics with exemplars where Accept asks.",
        media=(TEXT, OPEN_METRICS),
    ),
    Operation("/openapi.json", lambda *_: Document(OPERATIONS), dict, "This document.", media=(JSON,)),
)
_PUBLIC = frozenset(each.path for each in OPERATIONS if each.public)
_REMEDIES = {404: "the paths are in /openapi.json", 405: "the Allow header names the methods of this path"}


async def _refused(_request: Request, error: Exception) -> Response:
    """What Starlette itself refuses: an unknown path, a wrong method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it alone
    allow = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
    extra = [(b"allow", allow.encode())] if allow else None
    return refusal(error.status_code, error.detail.lower(), _REMEDIES.get(error.status_code, ""), extra)


async def _broken(_request: Request, _error: Exception) -> Response:
    return refusal(500, "the agent could not answer", "the reason is in its log; please report it as a bug")


def create_app(served: Served, settings: ServerSettings, clock: Clock = SYSTEM) -> Starlette:
    """All endpoints over what `served` knows."""
    app = Starlette(
        routes=[Route(each.path, each.endpoint(served, clock), methods=[each.method]) for each in OPERATIONS],
        middleware=[Middleware(Guard, settings=settings, public=_PUBLIC)],
        exception_handlers={HTTPException: _refused, Exception: _broken},
    )
    app.router.redirect_slashes = False  # a redirect would be built from whatever Host the client sends
    return app
