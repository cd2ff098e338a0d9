"""With other instrumentations around or inside the application, each request is recorded once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import litestar
import pytest
from fastapi import FastAPI
from litestar.plugins.opentelemetry import OpenTelemetryConfig, OpenTelemetryPlugin
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware as Official
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.opentelemetry import OpenTelemetryMiddleware as OfStarlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from otelhealth.inside.others import FASTAPI, NOBODY, OFFICIAL, STARLETTE, Others, find
from tests.inside.recording import Recording, ask

DURATION = "http.server.request.duration"
Build = Callable[[Recording], ASGIApp]


async def plain(_request: Request) -> Response:
    return PlainTextResponse("tea")


def starlette(*middleware: Middleware) -> Starlette:
    return Starlette(routes=[Route("/items/{name}", plain)], middleware=middleware)


def fastapi(**telemetry: Any) -> FastAPI:
    app = FastAPI(telemetry=telemetry or None)  # type: ignore[arg-type]  # a typed dict of the same keys
    app.get("/items/{name}")(lambda name: name)
    return app


@litestar.get("/items/{name:str}")
async def item() -> str:
    return "tea"


def providers(recording: Recording) -> dict[str, Any]:
    return {"tracer_provider": recording.tracers, "meter_provider": recording.meters}


def official_inside(recording: Recording) -> ASGIApp:
    return recording.around(Official(starlette(), **providers(recording)))


def official_added(recording: Recording) -> ASGIApp:
    return recording.around(starlette(Middleware(Official, **providers(recording))))


def official_outside(recording: Recording) -> ASGIApp:
    return Official(recording.around(starlette()), **providers(recording))


def starlette_s_added(recording: Recording) -> ASGIApp:
    return recording.around(starlette(Middleware(OfStarlette, **providers(recording))))


def starlette_s_outside(recording: Recording) -> ASGIApp:
    return OfStarlette(recording.around(starlette()), **providers(recording))


def starlette_s_in_a_mount(recording: Recording) -> ASGIApp:
    below = starlette(Middleware(OfStarlette, **providers(recording)))
    return recording.around(Starlette(routes=[Mount("/", below)]))


def fastapi_by_itself(recording: Recording) -> ASGIApp:
    return recording.around(fastapi(**providers(recording)))


def fastapi_tracing_alone(recording: Recording) -> ASGIApp:
    return recording.around(fastapi(**providers(recording), metrics=False))


def fastapi_metrics_alone(recording: Recording) -> ASGIApp:
    return recording.around(fastapi(**providers(recording), tracing=False))


def fastapi_around(recording: Recording) -> ASGIApp:
    app = fastapi(**providers(recording))
    app.router.routes = [Mount("/", recording.around(starlette()))]
    return app


def fastapi_in_a_mount(recording: Recording) -> ASGIApp:
    return recording.around(Starlette(routes=[Mount("/", fastapi(**providers(recording)))]))


def litestar_s_plugin(recording: Recording) -> ASGIApp:
    plugin = OpenTelemetryPlugin(OpenTelemetryConfig(**providers(recording)))
    return recording.around(litestar.Litestar([item], plugins=[plugin]))  # type: ignore[arg-type]  # its own types


@pytest.mark.parametrize(
    "build",
    [
        official_inside,
        official_added,
        official_outside,
        starlette_s_added,
        starlette_s_outside,
        starlette_s_in_a_mount,
        fastapi_by_itself,
        fastapi_tracing_alone,
        fastapi_metrics_alone,
        fastapi_around,
        fastapi_in_a_mount,
        litestar_s_plugin,
    ],
)
async def test_each_request_has_one_server_span_and_one_duration(build: Build) -> None:
    recording = Recording()
    app = build(recording)
    for _ in range(2):
        assert (await ask(app, "/items/tea")).status == 200
    spans = [span for span in recording.spans() if span.kind is SpanKind.SERVER]
    assert len(spans) == 2
    assert sum(recording.points(DURATION).values()) == 2
    ours = {span.instrumentation_scope.name for span in spans if span.instrumentation_scope}
    assert len(ours) == 1


@pytest.mark.parametrize("build", [official_outside, official_inside, fastapi_around, starlette_s_outside])
async def test_requests_that_the_other_does_not_sample_are_measured_once_too(build: Build) -> None:
    recording = Recording(ALWAYS_OFF)
    app = build(recording)
    for _ in range(2):
        assert (await ask(app, "/items/tea")).status == 200
    assert recording.spans() == []
    assert sum(recording.points(DURATION).values()) == 2


@pytest.mark.parametrize(
    ("app", "set_by_somebody", "found"),
    [
        (starlette(), True, NOBODY),
        (Official(starlette()), False, Others(OFFICIAL, OFFICIAL)),
        (starlette(Middleware(OfStarlette)), False, Others(STARLETTE)),
        (fastapi(), False, NOBODY),
        (fastapi(), True, Others(FASTAPI, FASTAPI)),
        (fastapi(tracing=False), True, Others("", FASTAPI)),
        (fastapi(tracing=False, metrics=False), True, NOBODY),
        (fastapi(meter_provider=Recording().meters, metrics=False), True, Others(FASTAPI)),
        (fastapi(meter_provider=Recording().meters), False, Others(FASTAPI, FASTAPI, elsewhere=True)),
    ],
)
def test_others_are_found(app: object, set_by_somebody: bool, found: Others) -> None:
    assert find(app, providers=set_by_somebody) == found


def test_the_official_one_of_old_records_no_such_durations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_SEMCONV_STABILITY_OPT_IN")
    assert find(Official(starlette()), providers=True) == Others(OFFICIAL, "")


def test_an_application_marked_by_the_official_one_of_its_framework_is_known() -> None:
    app = starlette()
    setattr(app, "_is_instrumented_by_opentelemetry", True)  # noqa: B010 - as it does, to a private name
    assert find(app, providers=True).spans == OFFICIAL


def test_an_application_that_is_wrapped_around_itself_ends_the_search() -> None:
    class Ring:
        def __init__(self) -> None:
            self.app = self

        def __call__(self) -> None: ...

    assert find(Ring(), providers=True) == NOBODY


async def test_what_another_records_elsewhere_is_told_to_the_windows() -> None:
    recording, told = Recording(), list[tuple[float, bool]]()
    around = recording.around(fastapi(**providers(recording)), observe=lambda took, bad: told.append((took, bad)))
    await ask(around, "/items/tea")
    await ask(around, "/items/tea", headers={"user-agent": "kube-probe/1.33"})
    [(took, bad)] = told
    assert took > 0
    assert not bad
