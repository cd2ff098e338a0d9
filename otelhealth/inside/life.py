"""The agent of an application: made and started with its lifespan or its first request, stopped with it."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Mapping, Sequence

from otelhealth.agent import Agent
from otelhealth.checks.base import Check
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.errors import OtelHealthError

log = logging.getLogger("otelhealth")


class Life:
    """One agent after the other, where an application is started more than once.

    `prepared` is told of each when it is made; none of them works yet then.
    """

    def __init__(self, config: Config, sources: Sources, environ: Mapping[str, str], checks: Sequence[Check]) -> None:
        self.config = config
        self.agent: Agent | None = None
        self.running = False
        self._ended = False
        self.prepared: Callable[[Agent], None] = lambda _agent: None
        self._sources = sources
        self._environ = environ
        self._checks = checks
        self._late: asyncio.Task[None] | None = None
        self._until: asyncio.Task[None] | None = None

    def prepare(self) -> Agent:
        """Make the agent: what it records has its place from here on. Raises OtelHealthError."""
        try:
            asyncio.get_running_loop()
        except RuntimeError as error:  # trio
            raise OtelHealthError("otelhealth works on asyncio", "choose the server's asyncio worker") from error
        self._ended = False
        self.agent = Agent(self.config, sources=self._sources, role="app", environ=self._environ)
        self.prepared(self.agent)
        return self.agent

    async def start(self) -> None:
        """Let the agent work. Raises OtelHealthError; there is no agent then."""
        if self.running:  # an application may ask itself while it starts
            return
        agent = self.agent or self.prepare()
        try:
            await agent.__aenter__()
        except BaseException:
            self.agent = None
            raise
        for check in self._checks:
            agent.add(check)
        self.running = True

    async def start_late(self) -> None:
        """At the first request of an application whose lifespan nobody runs; an agent that cannot start is said."""
        if self._ended:
            return
        loop = asyncio.get_running_loop()
        if self._late is None or self._late.get_loop().is_closed():
            # in a context of its own: what the agent does is no part of this request
            self._late = loop.create_task(self._start_or_say(), context=contextvars.Context())
        if not self._late.done() and self._late.get_loop() is loop:
            await asyncio.wait((self._late,))  # which a request that is cancelled leaves going

    async def _start_or_say(self) -> None:
        try:
            await self.start()
        except (OtelHealthError, OSError) as error:
            log.error("the application answers without its agent: %s", error)  # noqa: TRY400 - a user's mistake, no traceback
            return
        if self._until is None:
            log.warning("otelhealth starts with the first request: nobody runs the application's lifespan")
        self._until = asyncio.create_task(self._until_cancelled())

    async def _until_cancelled(self) -> None:
        """Nobody says when the application ends, but a loop that is closed cancels and awaits what goes in it."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._leave()

    def drain(self) -> None:
        """The application is about to stop."""
        if self.agent is not None and self.running:
            self.agent.drain()

    async def stop(self) -> None:
        """Stop the agent, within 5 s."""
        self._ended = True
        await self._leave()

    async def _leave(self) -> None:
        agent, self.agent = self.agent, None
        running, self.running = self.running, False
        if agent is None:
            return
        if running:
            await agent.__aexit__(None, None, None)
        else:
            agent.release()
