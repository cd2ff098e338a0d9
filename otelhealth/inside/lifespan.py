"""The lifespan of an application with an agent in it, which works from behind its startup to behind its shutdown."""

from __future__ import annotations

import logging

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from otelhealth.errors import OtelHealthError
from otelhealth.inside.life import Life

log = logging.getLogger("otelhealth")
_STARTUP, _SHUTDOWN = "lifespan.startup", "lifespan.shutdown"


class Lifespan:
    """One run of it, between what the server tells and what the application answers.

    An agent that cannot start fails the startup: the application is shut down and the server told why.
    """

    def __init__(self, life: Life, receive: Receive, send: Send) -> None:
        self._life = life
        self._receive = receive
        self._send = send
        self._begun: Message | None = None  # the server's word, until the application has it
        self._answered = False
        self._problem = ""

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        self._begun = await self._receive()
        try:
            self._life.prepare()
        except OtelHealthError as error:
            self._problem = str(error)
        else:
            try:
                await self._both(app, scope)
            finally:
                await self._life.stop()
        if self._problem:
            log.error("the application does not start, for its agent cannot: %s", self._problem)
            await self._send({"type": f"{_STARTUP}.failed", "message": f"otelhealth: {self._problem}"})

    async def _both(self, app: ASGIApp, scope: Scope) -> None:
        try:
            await app(scope, self._tell, self._answer)
        except Exception as error:
            if self._answered:
                raise
            log.debug("the application knows no lifespan: %r", error)
        if not self._answered:
            await self._alone()

    async def _alone(self) -> None:
        """For an application without a lifespan."""
        await self._answer({"type": f"{_STARTUP}.complete"})
        if not self._problem:
            self._begun = None
            await self._tell()
            await self._answer({"type": f"{_SHUTDOWN}.complete"})

    async def _tell(self) -> Message:
        """What the application receives."""
        if self._begun is not None:
            begun, self._begun = self._begun, None
            return begun
        if self._problem:
            return {"type": _SHUTDOWN}
        message = await self._receive()
        self._life.drain()
        return message

    async def _answer(self, message: Message) -> None:
        """What the application sends."""
        self._answered = True
        if message["type"] == f"{_STARTUP}.complete":
            try:
                await self._life.start()
            except OtelHealthError as error:
                self._problem = str(error)
                return
        elif message["type"].startswith(_SHUTDOWN):
            await self._life.stop()
        if not self._problem:
            await self._send(message)
