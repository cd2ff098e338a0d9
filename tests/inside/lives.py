"""An application's life without a server: its lifespan, and requests in it."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from opentelemetry import _logs, metrics, trace
from opentelemetry.util._once import Once
from starlette.types import ASGIApp, Message

from otelhealth.inside.app import Service
from otelhealth.inside.life import Life
from tests.inside.recording import Recording

_APIS = (
    ("opentelemetry.trace", "_TRACER_PROVIDER", None),
    ("opentelemetry.metrics._internal", "_METER_PROVIDER", "_ProxyMeterProvider"),
    ("opentelemetry._logs._internal", "_LOGGER_PROVIDER", "ProxyLoggerProvider"),
)


def unset_providers(patch: pytest.MonkeyPatch) -> None:
    """The API as in a process that has just begun; what a test sets there ends with the test."""
    for name, provider, proxy in _APIS:
        module = importlib.import_module(name)
        patch.setattr(module, provider, None)
        patch.setattr(module, f"{provider}_SET_ONCE", Once())
        if proxy is not None:
            patch.setattr(module, f"_PROXY{provider}", getattr(module, proxy)())


def recording_of_all(patch: pytest.MonkeyPatch) -> Recording:
    """What is recorded through the global API, until the test ends."""
    unset_providers(patch)
    found = Recording()
    trace.set_tracer_provider(found.tracers)
    metrics.set_meter_provider(found.meters)
    _logs.set_logger_provider(found.loggers)
    return found


def life_of(app: Any) -> Life:
    """Of an instrumented application."""
    service: Service = vars(app)["_otelhealth"]
    return service.life


class Lifespan:
    """What a server does with it. `said` is what the application answered."""

    def __init__(self, app: object) -> None:
        self._app = cast("ASGIApp", app)
        self._told: asyncio.Queue[Message] = asyncio.Queue()
        self.said: list[Message] = []
        self._heard = asyncio.Event()
        self.going: asyncio.Task[None] | None = None

    async def _receive(self) -> Message:
        return await self._told.get()

    async def _send(self, message: Message) -> None:
        self.said.append(message)
        self._heard.set()

    async def _tell(self, kind: str) -> Message:
        self._heard.clear()
        self._told.put_nowait({"type": kind})
        assert self.going is not None
        heard = asyncio.create_task(self._heard.wait())
        await asyncio.wait((heard, self.going), timeout=20, return_when=asyncio.FIRST_COMPLETED)
        heard.cancel()
        return self.said[-1]

    async def startup(self) -> Message:
        self.going = asyncio.create_task(
            cast("Any", self._app)(
                {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, self._receive, self._send
            )
        )
        return await self._tell("lifespan.startup")

    async def shutdown(self) -> Message:
        said = await self._tell("lifespan.shutdown")
        assert self.going is not None
        await self.going
        return said


@asynccontextmanager
async def living(app: object) -> AsyncIterator[Lifespan]:
    """From a startup that succeeds to a shutdown that does."""
    lifespan = Lifespan(app)
    assert await lifespan.startup() == {"type": "lifespan.startup.complete"}
    try:
        yield lifespan
    finally:
        if lifespan.said[-1]["type"] == "lifespan.startup.complete":
            assert await lifespan.shutdown() == {"type": "lifespan.shutdown.complete"}
