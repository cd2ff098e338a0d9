"""The agent of an application: made and started with its lifespan or its first request, stopped with it."""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from otelhealth.agent import CLOSING, Agent
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
        except OtelHealthError:
            self.agent = None
            raise
        for check in self._checks:
            agent.add(check)
        self.running = True

    async def start_late(self) -> None:
        """At the first request of an application whose lifespan nobody runs; an agent that cannot start is said."""
        if self._ended:
            return
        if self._late is None:
            # in a context of its own: what the agent does is no part of this request
            starting = self._start_or_say()
            self._late = asyncio.get_running_loop().create_task(starting, context=contextvars.Context())
        if not self._late.done() and self._late.get_loop() is asyncio.get_running_loop():
            await asyncio.shield(self._late)

    async def _start_or_say(self) -> None:
        try:
            await self.start()
        except OtelHealthError as error:
            log.error("the application answers without its agent: %s", error)  # noqa: TRY400 - a user's mistake, no traceback
            return
        log.warning("otelhealth starts with the first request: nobody runs the application's lifespan")
        atexit.register(self._flush)

    def _flush(self) -> None:
        """Nobody says when it ends: what was recorded until then is sent at the exit."""
        if self.agent is not None:
            with suppress(RuntimeError):  # no thread can be started that late since Python 3.12
                self.agent.telemetry.close(CLOSING)

    def drain(self) -> None:
        """The application is about to stop."""
        if self.agent is not None and self.running:
            self.agent.drain()

    async def stop(self) -> None:
        """Stop the agent, within 5 s."""
        self._ended = True
        agent, self.agent = self.agent, None
        running, self.running = self.running, False
        if agent is not None and running:
            await agent.__aexit__(None, None, None)
