"""`otelhealth.instrument(app)`: an application with its health agent, in one line."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from otelhealth.agent import read
from otelhealth.checks.base import Check
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.errors import OtelHealthError
from otelhealth.inside.app import Choices, Instrumentation, InstrumentedApp, Service
from otelhealth.inside.environment import is_watched_beside
from otelhealth.inside.life import Life
from otelhealth.inside.official import prepare
from otelhealth.kinds.python import Function, as_check
from otelhealth.telemetry.resource import FOLDER

App = TypeVar("App")
_NAME = "OTELHEALTH_SERVICE__NAME"
_NAMED_TWICE = (
    "service=%r names this agent alone: `otelhealth exec` records the requests of this program as those of %r; "
    "set OTEL_SERVICE_NAME, or service.name of its configuration"
)
log = logging.getLogger("otelhealth")


def instrument(  # noqa: PLR0913 - each has a default that fits
    app: App,
    config: Config | Mapping[str, Any] | Path | str | None = None,
    *,
    service: str | None = None,
    checks: Iterable[Check | Function] = (),
    instrumentation: Instrumentation = "own",
    websocket: bool = True,
    path_prefix: str = "",
) -> App:
    """The application, traced and measured, with a health agent in its lifespan and `/health*` on its own port.

    `config` is a path, a mapping, a Config, or None for what `otelhealth run` would find. `service` names the service,
    above the configuration; `checks` are watched besides the configured ones. `instrumentation` records the requests:
    our own, the `official` one (pip install 'otelhealth[official]'), or none but those that are there already (`off`);
    `websocket=False` leaves WebSockets alone. `path_prefix` moves `/health*` and `/metrics` below it.

    Raises ConfigError for a bad configuration and OtelHealthError for a bad setting, at once. An agent that cannot
    start fails the application's startup. Where another agent runs the checks of the same file (`otelhealth exec`,
    `opentelemetry-instrument`), this one runs `checks` alone. Below `otelhealth exec` requests are recorded under the
    name that it has, and `service` names this agent alone.
    """
    if instrumentation not in get_args(Instrumentation):
        raise OtelHealthError(
            f"instrumentation is {instrumentation!r}", f"choose one of {', '.join(get_args(Instrumentation))}"
        )
    if (path_prefix and not path_prefix.startswith("/")) or path_prefix.endswith("/"):
        raise OtelHealthError(f"path_prefix is {path_prefix!r}", "write it as '/ops': from a slash, without one behind")
    if instrumentation == "official":
        prepare()
    environ = os.environ if service is None else {**os.environ, _NAME: service}
    if service is not None and FOLDER in environ and (recorded := environ.get("OTEL_SERVICE_NAME", service)) != service:
        log.warning(_NAMED_TWICE, service, recorded)
    sources = Sources()
    made = read(config, sources, environ)
    if not isinstance(config, Config | Mapping) and is_watched_beside(made.file, environ):
        made, sources = replace(made, checks={}), Sources()
    life = Life(made, sources, environ, [as_check(each) for each in checks])
    choices = Choices(instrumentation, websocket, path_prefix)
    return cast("App", InstrumentedApp(Service(cast("Any", app), life, choices)))
