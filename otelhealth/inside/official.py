"""The official opentelemetry-instrumentation-asgi in our middleware's place."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send

from otelhealth import probes
from otelhealth.errors import MissingLibraryError
from otelhealth.inside.others import ASGI, OFFICIAL, OPT_IN, QUIET, is_stable

if TYPE_CHECKING:
    from otelhealth.inside.providers import Providers


def prepare(environ: MutableMapping[str, str] = os.environ) -> None:
    """Raises MissingLibraryError without it. It looks once at the convention it is to follow: the stable one."""
    try:
        found = find_spec(ASGI)
    except ModuleNotFoundError:
        found = None
    if found is None:
        raise MissingLibraryError(OFFICIAL, "official")
    if not is_stable(environ):
        environ[OPT_IN] = ",".join(filter(None, (environ.get(OPT_IN), "http")))


def official(app: ASGIApp, providers: Providers) -> ASGIApp:
    """`app` as it instruments it: without a span for each message, without the requests for its health."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415 - of an extra

    async def alone(scope: Scope, receive: Receive, send: Send) -> None:
        scope.update(QUIET)
        await app(scope, receive, send)

    made: Any = OpenTelemetryMiddleware(
        alone,
        excluded_urls=probes.URL,
        tracer_provider=providers.tracers,
        meter_provider=providers.meters,
        exclude_spans=["receive", "send"],
    )
    return cast("ASGIApp", made)
