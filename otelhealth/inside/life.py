"""The agent of an application: made and started with its lifespan or its first request, stopped with it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Sequence

from otelhealth.agent import Agent
from otelhealth.checks.base import Check
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.errors import OtelHealthError
from otelhealth.kinds.python import Function

Watched = Check | Function
log = logging.getLogger("otelhealth")


class Life:
    """One agent after the other, where an application is started more than once."""

    def __init__(
        self, config: Config, sources: Sources, checks: Sequence[Watched], prepared: Callable[[Agent], None]
    ) -> None:
        self._config = config
        self._sources = sources
        self._checks = checks
        self._prepared = prepared
        self._starting: asyncio.Task[None] | None = None
        self.agent: Agent | None = None
        self.running = False

    def prepare(self) -> None:
        """Make the agent: what it records has its place from here on. Raises OtelHealthError."""
        try:
            asyncio.get_running_loop()
        except RuntimeError as error:  # trio
            raise OtelHealthError("otelhealth works on asyncio", "choose the server's asyncio worker") from error
        self.agent = Agent(self._config, sources=self._sources, role="app")
        self._prepared(self.agent)

    async def start(self) -> None:
        """Let the agent work. Raises OtelHealthError; there is no agent then."""
        if self.agent is None:
            self.prepare()
        assert self.agent is not None  # noqa: S101 - just prepared
        try:
            await self.agent.__aenter__()
            for check in self._checks:
                self.agent.add(check)
        except OtelHealthError:
            self.agent = None
            raise
        self.running = True

    async def start_late(self) -> None:
        """At the first request of an application whose lifespan nobody runs; never raises for what it cannot have."""
        if self._starting is None:
            # of the agent's own context: what its tasks do is no part of this request
            starting = self._start_or_say()
            self._starting = asyncio.get_running_loop().create_task(starting, context=contextvars.Context())
        await asyncio.shield(self._starting)

    async def _start_or_say(self) -> None:
        try:
            await self.start()
        except OtelHealthError as error:
            log.error("the application answers without its agent: %s", error)  # noqa: TRY400 - a user's mistake, no traceback
        else:
            log.warning("otelhealth starts with the first request: nobody runs the application's lifespan")

    def drain(self) -> None:
        """The application is about to stop."""
        if self.agent is not None and self.running:
            self.agent.drain()

    async def stop(self) -> None:
        agent, self.agent = self.agent, None
        running, self.running = self.running, False
        if agent is not None and running:
            await agent.__aexit__(None, None, None)
