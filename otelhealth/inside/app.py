"""The application as its server sees it: its own answers, `/health*` beside them, an agent behind."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Literal, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from otelhealth.agent import Agent
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.inside.attributes import route_path
from otelhealth.inside.life import Life, Watched
from otelhealth.inside.lifespan import Lifespan
from otelhealth.inside.middleware import SEEN, TelemetryMiddleware
from otelhealth.inside.official import official
from otelhealth.inside.others import OFFICIAL, Others, find
from otelhealth.inside.providers import application_has_its_own, provide
from otelhealth.server.answers import refusal
from otelhealth.telemetry.windows import APPLICATION

log = logging.getLogger("otelhealth")
_NO_AGENT = refusal(503, "no agent works in this application", "the application's log says why")


Instrumentation = Literal["own", "official", "off"]


class Choices(NamedTuple):
    """What the caller of `instrument` chose."""

    checks: tuple[Watched, ...] = ()
    instrumentation: Instrumentation = "own"
    websocket: bool = True
    path_prefix: str = ""


class Service:
    """An application with its agent: one ASGI callable."""

    def __init__(self, app: ASGIApp, config: Config, sources: Sources, choices: Choices) -> None:
        self.app = app
        self.life = Life(config, sources, choices.checks, self._prepared)
        self._choices = choices
        self._traced = app
        self._answers = config.server.enabled

    def _prepared(self, agent: Agent) -> None:
        """Put around the application what records it, before it starts."""
        others = find(self.app, providers=application_has_its_own())
        found, app = provide(agent.telemetry), self.app
        if self._choices.instrumentation == "off":
            return
        if self._choices.instrumentation == "official" and not others.spans:
            app, others = official(app, found), Others(OFFICIAL, OFFICIAL)
        if others.spans or others.figures:
            log.info("spans of requests: %s; their durations: %s", others.spans or "ours", others.figures or "ours")
        windows = agent.telemetry.windows
        self._traced = TelemetryMiddleware(
            app,
            tracer_provider=found.tracers,
            meter_provider=found.meters,
            websocket=self._choices.websocket,
            others=others,
            observe=None if found.read_back and not others.elsewhere else partial(windows.add, APPLICATION),
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await Lifespan(self.life, receive, send).run(self.app, scope)
            return
        if SEEN in scope:  # another one is around this one
            await self.app(scope, receive, send)
            return
        if not self.life.running:
            await self.life.start_late()
        if scope["type"] == "http" and self._answers and (path := self._endpoint(scope)):
            answers = self.life.agent.app if self.life.agent else _NO_AGENT
            await answers({**scope, "path": path, "root_path": ""}, receive, send)
            return
        await self._traced(scope, receive, send)

    def _endpoint(self, scope: Scope) -> str:
        """The path of an endpoint of the agent; "" for the application's own."""
        path, prefix = route_path(scope), self._choices.path_prefix
        if not path.startswith(prefix):
            return ""
        path = path[len(prefix) :]
        if (path.startswith("/health") and path[7:8] in ("", "/")) or path == "/metrics":
            return path
        return path if path == "/openapi.json" and prefix else ""


class InstrumentedApp:
    """Takes the application's place: what else is asked of it, the application answers, its class too."""

    def __init__(self, service: Service) -> None:
        self.__dict__["_otelhealth"] = service  # an ordinary assignment goes to the application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._otelhealth(scope, receive, send)

    @property  # type: ignore[misc]  # frameworks' commands look for their class
    def __class__(self) -> Any:
        return self._otelhealth.app.__class__

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_otelhealth"].app, name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._otelhealth.app, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._otelhealth.app, name)

    def __dir__(self) -> list[str]:
        return dir(self._otelhealth.app)

    def __repr__(self) -> str:
        return f"<{self._otelhealth.app!r} with otelhealth>"
