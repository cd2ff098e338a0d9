"""Every ASGI application of this process traced and measured: its server's one door to it leads through our middleware.

uvicorn (also as gunicorn's worker), hypercorn and gunicorn's own ASGI worker are known.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Collection
from functools import wraps
from types import ModuleType
from typing import Any

from otelhealth.inside import reloaders
from otelhealth.inside.children import let_pools_end
from otelhealth.inside.importing import after_import
from otelhealth.telemetry.resource import FOLDER

BEGINNING: list[Callable[[], object]] = []  # what a process does before it serves
ENDING: list[Callable[[], object]] = []  # and once it has served
OFFICIAL = frozenset({"fastapi", "starlette", "quart", "asgi"})  # official instrumentations that ours stands for
_OWN_FRAMEWORKS = ("django", "falcon")  # their official instrumentations trace ASGI as well


class AsgiInstrumentor:
    """What `opentelemetry-instrument` loads of us (entry point `opentelemetry_instrumentor`)."""

    def instrument(self, **_: Any) -> None:
        for module, door in _DOORS.items():
            after_import(module, door)

    def uninstrument(self, **_: Any) -> None:
        """What is wrapped stays so: there is no way back in a process that serves."""

    def instrumentation_dependencies(self) -> Collection[str]:
        return ()


def traced(app: Any) -> Any:
    """`app` behind our middleware, which leaves to other instrumentations what they record."""
    from otelhealth.inside.middleware import TelemetryMiddleware  # noqa: PLC0415 - only where something is served
    from otelhealth.inside.others import find  # noqa: PLC0415 - as above

    name = type(app).__module__.partition(".")[0]
    if name in _OWN_FRAMEWORKS and f"opentelemetry.instrumentation.{name}" in sys.modules:
        return app
    service = getattr(app, "__dict__", {}).get("_otelhealth")
    if service is not None and service.records and FOLDER in os.environ:  # the figures reach both agents then
        return app
    return TelemetryMiddleware(app, others=find(app, providers=False))  # those of this process are ours


def _uvicorn(module: ModuleType) -> None:
    load: Callable[..., None] = module.Config.load

    @wraps(load)
    def load_traced(config: Any, *arguments: Any, **named: Any) -> None:
        load(config, *arguments, **named)
        if config.interface == "wsgi" or config.http_protocol_class.__module__.startswith("otelhealth."):
            return
        outer = config.loaded_app
        if type(outer).__name__ == "ProxyHeadersMiddleware":  # what it makes of a request is the true one
            outer.app = traced(outer.app)
        else:
            config.loaded_app = traced(outer)

    module.Config.load = load_traced


def _hypercorn(module: ModuleType) -> None:
    wrapper = module.ASGIWrapper
    make: Callable[..., None] = wrapper.__init__

    @wraps(make)
    def make_traced(self: Any, app: Any) -> None:
        make(self, traced(app))

    wrapper.__init__ = make_traced


def _gunicorn(module: ModuleType) -> None:
    load: Callable[..., None] = module.ASGIWorker.load_wsgi

    @wraps(load)
    def load_traced(worker: Any) -> None:
        _begin()
        load(worker)
        worker.asgi = traced(worker.asgi)

    module.ASGIWorker.load_wsgi = load_traced


def _gunicorn_worker(module: ModuleType) -> None:
    """Its master has begun nothing that its workers would share. Before they take signals, one to end is lost."""
    load: Callable[..., None] = module.Worker.load_wsgi

    @wraps(load)
    def begin_and_load(worker: Any) -> None:
        _begin()
        load(worker)

    module.Worker.load_wsgi = begin_and_load


def _uvicorn_end(module: ModuleType) -> None:
    """After its shutdown uvicorn ends by the signal that it was sent, and nothing that waits for the exit runs."""
    shutdown: Callable[..., Any] = module.Server.shutdown

    @wraps(shutdown)
    async def shutdown_and_end(*arguments: Any, **named: Any) -> None:
        await shutdown(*arguments, **named)
        await asyncio.to_thread(_end)

    module.Server.shutdown = shutdown_and_end


def _begin() -> None:
    for begin in BEGINNING:
        begin()


def _end() -> None:
    for end in ENDING:
        end()


_DOORS: dict[str, Callable[[ModuleType], None]] = {
    "uvicorn.config": _uvicorn,
    "uvicorn.server": _uvicorn_end,
    "hypercorn.app_wrappers": _hypercorn,
    "gunicorn.workers.gasgi": _gunicorn,
    "gunicorn.workers.base": _gunicorn_worker,
    "multiprocessing.pool": let_pools_end,
    "werkzeug._reloader": reloaders.werkzeug,
    "django.utils.autoreload": reloaders.django,
}
