"""The parts of an instrumented application, for those who put them together themselves."""

from __future__ import annotations

import logging
from functools import partial
from typing import Literal

from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from otelhealth.agent import Agent
from otelhealth.inside.attributes import route_path
from otelhealth.inside.middleware import TelemetryMiddleware
from otelhealth.inside.official import official
from otelhealth.inside.others import OFFICIAL, Others, find
from otelhealth.inside.providers import application_has_its_own, provide
from otelhealth.inside.requests import UNSEEN
from otelhealth.telemetry.windows import APPLICATION

log = logging.getLogger("otelhealth")


def recorded(
    app: ASGIApp, agent: Agent, instrumentation: Literal["own", "official"] = "own", *, websocket: bool = True
) -> ASGIApp:
    """`app` with what records its requests around it, and the process's providers set to the agent's if to nobody's."""
    others = find(app, providers=application_has_its_own())
    found = provide(agent.telemetry)
    if instrumentation == "official" and not others.spans:
        app, others = official(app, found), Others(OFFICIAL, OFFICIAL)
    if others.spans or others.figures:
        log.info("spans of requests: %s; their durations: %s", others.spans or "ours", others.figures or "ours")
    observe = None if found.read_back and not others.elsewhere else partial(agent.telemetry.windows.add, APPLICATION)
    return TelemetryMiddleware(
        app,
        tracer_provider=found.tracers,
        meter_provider=found.meters,
        websocket=websocket,
        others=others,
        observe=observe,
    )


class AgentMiddleware:
    """Records what an application answers into an agent that the application's lifespan runs.

    For Starlette: `Middleware(AgentMiddleware, agent=agent)`, as the first one.
    """

    def __init__(self, app: ASGIApp, agent: Agent, *, websocket: bool = True) -> None:
        self._recorded = recorded(app, agent, websocket=websocket)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._recorded(scope, receive, send)


def routes(agent: Agent, prefix: str = "") -> list[BaseRoute]:
    """Starlette routes for `/health*` and `/metrics`, and with a prefix `/openapi.json`, answered by an agent."""
    endpoints = _Endpoints(agent, prefix)
    paths = ("/health", "/health/{rest:path}", "/metrics", *(("/openapi.json",) if prefix else ()))
    return [Route(f"{prefix}{path}", endpoints, include_in_schema=False) for path in paths]


class _Endpoints:
    def __init__(self, agent: Agent, prefix: str) -> None:
        self._agent = agent
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[UNSEEN] = True
        path = endpoint_of(scope, self._prefix)
        await self._agent.app({**scope, "path": path, "root_path": ""}, receive, send)


def endpoint_of(scope: Scope, prefix: str) -> str:
    """The path below `prefix` of an endpoint of the agent; "" for what the application answers."""
    path = route_path(scope)
    if not path.startswith(prefix):
        return ""
    path = path[len(prefix) :]
    if path in ("/health", "/metrics") or path.startswith("/health/"):
        return path
    return path if path == "/openapi.json" and prefix else ""  # without one it is the application's
