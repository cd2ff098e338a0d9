"""The application as its server sees it: its own answers, `/health*` beside them, an agent behind."""

from __future__ import annotations

import logging
from typing import Any, Literal, NamedTuple

from starlette.types import ASGIApp, Receive, Scope, Send

from otelhealth.agent import Agent
from otelhealth.inside.compose import endpoint_of, recorded
from otelhealth.inside.life import Life
from otelhealth.inside.lifespan import Lifespan
from otelhealth.inside.providers import provide
from otelhealth.server.responses import refusal

Instrumentation = Literal["own", "official", "off"]
_HERE = "otelhealth.service"  # in the scope of what an instrumented application is asked
log = logging.getLogger("otelhealth")
_NO_AGENT = refusal(503, "no agent works in this application", "the application's log says why")


class Choices(NamedTuple):
    """What the caller of `instrument` chose."""

    instrumentation: Instrumentation = "own"
    websocket: bool = True
    path_prefix: str = ""


class Service:
    """An application with its agent: one ASGI callable."""

    def __init__(self, app: ASGIApp, life: Life, choices: Choices) -> None:
        self.app = app
        self.life = life
        self._choices = choices
        self._recorded = app
        self._said_nested = False
        life.prepared = self._prepared

    @property
    def records(self) -> bool:
        """Whether it records its requests itself."""
        return self._choices.instrumentation != "off"

    def _prepared(self, agent: Agent) -> None:
        if self._choices.instrumentation == "off":
            provide(agent.telemetry)
        else:
            self._recorded = recorded(self.app, agent, self._choices.instrumentation, websocket=self._choices.websocket)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await Lifespan(self.life, receive, send).run(self.app, scope)
            return
        if _HERE in scope:
            self._say_nested()
            await self.app(scope, receive, send)
            return
        scope[_HERE] = True
        if not self.life.running:
            await self.life.start_late()
        path = self._endpoint(scope)
        if path:
            endpoints = self.life.agent.app if self.life.agent else _NO_AGENT
            await endpoints({**scope, "path": path, "root_path": ""}, receive, send)
        else:
            await self._recorded(scope, receive, send)

    def _say_nested(self) -> None:
        if not self._said_nested:
            self._said_nested = True
            log.warning("an instrumented application in another one: only the outer one has an agent")

    def _endpoint(self, scope: Scope) -> str:
        """The path of an endpoint of the agent; "" for what the application answers."""
        if scope["type"] != "http" or not self.life.config.server.enabled:
            return ""
        return endpoint_of(scope, self._choices.path_prefix)


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
