"""The instrumentations that an application has already: what they record is not recorded again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind
from starlette.types import Scope

OFFICIAL = "opentelemetry-instrumentation-asgi"
STARLETTE = "starlette.middleware.opentelemetry"
FASTAPI = "FastAPI's own telemetry"
QUIET: Mapping[str, object] = {"fastapi.telemetry": None, "starlette.opentelemetry": True}
"""Put into a request's scope it keeps the frameworks' own instrumentations out, mounted applications' too."""

ASGI = "opentelemetry.instrumentation.asgi"
OPT_IN = "OTEL_SEMCONV_STABILITY_OPT_IN"
_INNER = ("app", "asgi_handler", "asgi_app", "_app", "application", "middleware_stack", "open_telemetry_middleware")
_CLASSES = {  # (module, class) -> name
    (ASGI, "OpenTelemetryMiddleware"): OFFICIAL,
    ("litestar.plugins.opentelemetry.middleware", "OpenTelemetryInstrumentationMiddleware"): OFFICIAL,
    ("starlette.middleware.opentelemetry", "OpenTelemetryMiddleware"): STARLETTE,
}
_DEFERRED = {"ProxyTracerProvider", "_ProxyMeterProvider", "ProxyLoggerProvider"}
_DEEPEST = 50


class Others(NamedTuple):
    """Who records what; "" where nobody does. `elsewhere`: the figures go to a provider that is not the process's."""

    spans: str = ""
    figures: str = ""
    elsewhere: bool = False


NOBODY = Others()


def find(app: object, *, providers: bool) -> Others:
    """What is around or inside `app`; `providers`: somebody set the process's own, so that FastAPI uses them."""
    names = set(_known(app))
    if OFFICIAL in names:
        return Others(OFFICIAL, OFFICIAL if is_stable(os.environ) else "")
    native = next(_native(app, providers), NOBODY)
    return native._replace(spans=STARLETTE) if STARLETTE in names else native


def is_unset(provider: object) -> bool:
    """Whether this is what the API gives until somebody sets a provider: it does not tell, but by their names."""
    return type(provider).__name__ in _DEFERRED and type(provider).__module__.startswith("opentelemetry.")


def has_providers() -> bool:
    """Whether somebody set the process's tracer or meter provider."""
    return not (is_unset(trace.get_tracer_provider()) and is_unset(metrics.get_meter_provider()))


def is_stable(environ: Mapping[str, str]) -> bool:
    """Whether the official instrumentations record by the stable conventions: by default the old ones hold."""
    chosen = {part.strip() for part in environ.get(OPT_IN, "").split(",")}
    return bool(chosen & {"http", "http/dup"})


def outer(scope: Scope) -> Others:
    """Who has begun what goes on here already, by their marks in the scope or by their server span."""
    if scope.get("fastapi.telemetry") is not None:
        return _chosen(getattr(scope.get("app"), "_telemetry", {}))
    if scope.get("starlette.opentelemetry"):
        return Others(STARLETTE)
    span = trace.get_current_span()
    if span is trace.INVALID_SPAN:
        return NOBODY
    if getattr(span, "kind", None) is SpanKind.SERVER:
        name = str(getattr(getattr(span, "instrumentation_scope", None), "name", "") or "unknown")
        return Others(name, name if name.startswith("opentelemetry.instrumentation.") and is_stable(os.environ) else "")
    told = span.get_span_context()
    if told.is_valid and not told.is_remote and not span.is_recording() and ASGI in sys.modules:
        return Others(OFFICIAL, OFFICIAL if is_stable(os.environ) else "")  # it did not sample this request
    return NOBODY


def _chain(app: object) -> Iterator[Any]:
    """An application and what it is wrapped around, from the outside."""
    seen: list[object] = []
    waiting: list[Any] = [app]
    while waiting and len(seen) < _DEEPEST:
        each = waiting.pop(0)
        each = getattr(each, "__self__", each)  # a bound method, as Quart's asgi_app
        if any(each is one for one in seen):
            continue
        seen.append(each)
        yield each
        waiting += [inner for name in _INNER if callable(inner := getattr(each, name, None))]


def _known(app: object) -> Iterator[str]:
    for each in _chain(app):
        if getattr(each, "_is_instrumented_by_opentelemetry", False) is True:  # by the official one of its framework
            yield OFFICIAL
        added = (*_listed(each, "user_middleware", "cls"), *_listed(each, "middleware", "middleware"))
        for kind in (type(each), *added):
            for base in getattr(kind, "__mro__", ()):
                if name := _CLASSES.get((base.__module__, base.__name__)):
                    yield name


def _listed(app: object, attribute: str, kind: str) -> Iterator[object]:
    """The classes of middleware that an application is going to be wrapped in."""
    listed = getattr(app, attribute, None)
    for item in listed if isinstance(listed, (list, tuple)) else ():
        yield getattr(item, kind, item)


def _native(app: object, providers: bool) -> Iterator[Others]:
    """FastAPI records by itself since 0.165, what it is told to, once there is a provider for any of it."""
    for each in _chain(app):
        told = getattr(each, "_telemetry", None)
        if not isinstance(told, dict) or not any(base.__module__.startswith("fastapi") for base in type(each).__mro__):
            continue
        chosen = _chosen(told)
        tracers, meters = told.get("tracer_provider"), told.get("meter_provider")
        if (
            (chosen.spans and tracers)
            or (chosen.figures and meters)
            or (providers and (chosen.spans or chosen.figures))
        ):
            yield chosen._replace(elsewhere=bool(chosen.figures) and meters is not None)


def _chosen(told: Mapping[str, Any]) -> Others:
    """What a FastAPI application is told to record."""
    return Others(FASTAPI if told.get("tracing") else "", FASTAPI if told.get("metrics") else "")
