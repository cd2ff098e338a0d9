"""The agent's life in an application: when it starts, that it drains and stops, and what happens where it cannot."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive, Scope, Send

from otelhealth import check, instrument
from otelhealth.agent import Agent
from otelhealth.errors import ConfigError, OtelHealthError
from otelhealth.inside import AgentMiddleware, routes
from tests.inside.lives import Lifespan, life_of, living, unset_providers
from tests.inside.recording import Recording, Talk, ask
from tests.waiting import until

LOCAL: dict[str, Any] = {"client": ("127.0.0.1", 4711), "headers": {"host": "127.0.0.1"}}
QUIET = {"store": {"path": ":memory:"}, "checks": {}}


@pytest.fixture(autouse=True)
def a_process_without_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    unset_providers(monkeypatch)
    for name in ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTELHEALTH_CONFIG"):
        monkeypatch.delenv(name, raising=False)


async def plain(_request: Request) -> Response:
    return PlainTextResponse("tea")


def shop(**more: Any) -> Starlette:
    return Starlette(routes=[Route("/items/{name}", plain)], **more)


def instrumented(app: Any = None, **settings: Any) -> Any:
    return instrument(app or shop(), QUIET, **settings)


async def get_json(app: Any, path: str) -> Any:
    return json.loads((await ask(app, path, **LOCAL)).body)


async def requests_seen(app: Any) -> int:
    """As the report has them, once the latest are read back."""
    agent = life_of(app).agent
    assert agent is not None
    agent.telemetry.read_application()
    return int((await get_json(app, "/health/detailed"))["performance"]["requests"])


async def test_checks_begin_when_the_application_is_up_and_see_it() -> None:
    opened, seen = [], []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await asyncio.sleep(0.05)
        opened.append(True)
        yield
        opened.clear()

    @check(every="100ms")
    async def is_open() -> bool:
        seen.append(bool(opened))
        return True

    async with living(instrumented(shop(lifespan=lifespan), checks=[is_open])):
        await until(lambda: len(seen) >= 3)
    assert all(seen)
    assert opened == []
    count = len(seen)
    await asyncio.sleep(0.2)
    assert len(seen) == count


async def test_what_the_application_records_while_it_starts_has_its_place() -> None:
    traced: list[bool] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        with trace.get_tracer("shop").start_as_current_span("open") as span:
            traced.append(span.is_recording())
        yield

    async with living(instrumented(shop(lifespan=lifespan))):
        assert traced == [True]


async def test_it_drains_before_the_application_stops_and_ends_after_it() -> None:
    told: list[tuple[int, Any]] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        talk = await ask(app, "/health/ready", **LOCAL)
        told.append((talk.status, json.loads(talk.body)["status"]))

    app = instrumented(shop(lifespan=lifespan))
    async with living(app):
        assert (await ask(app, "/health/ready", **LOCAL)).status == 200
    assert told == [(503, "unready")]
    assert (await ask(app, "/health", **LOCAL)).status == 503


async def test_a_request_on_its_way_finishes_while_it_drains() -> None:
    go_on = asyncio.Event()

    async def slow(_request: Request) -> Response:
        await go_on.wait()
        return PlainTextResponse("done")

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        go_on.set()
        await going

    app = instrumented(Starlette(routes=[Route("/slow", slow)], lifespan=lifespan))
    async with living(app):
        going = asyncio.create_task(ask(app, "/slow"))
        await asyncio.sleep(0)
    assert (await going).body == b"done"


async def test_an_application_is_started_again_with_a_new_agent() -> None:
    """As a test client does, once per `with`."""
    app = instrumented()
    for _ in range(2):
        async with living(app):
            await ask(app, "/items/tea")
            assert await requests_seen(app) == 1


@pytest.mark.parametrize("answers", ["raises", "returns"])
async def test_an_application_without_a_lifespan_has_one_all_the_same(answers: str) -> None:
    async def bare(scope: Scope, _receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if answers == "raises":
                raise NotImplementedError
            return
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"bare"})

    app = instrumented(bare)
    async with living(app):
        assert (await ask(app, "/health", **LOCAL)).status == 200
        assert (await ask(app, "/x")).body == b"bare"
        assert await requests_seen(app) == 1


async def test_a_failing_startup_of_the_application_is_its_own() -> None:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        raise LookupError("no shelves")
        yield

    failing = Lifespan(instrumented(shop(lifespan=lifespan)))
    said = await failing.startup()
    assert said["type"] == "lifespan.startup.failed"
    assert "no shelves" in said["message"]
    assert failing.going is not None
    with pytest.raises(LookupError):
        await failing.going


async def test_an_agent_that_cannot_start_fails_the_startup_and_shuts_the_application_down(tmp_path: Path) -> None:
    closed: list[bool] = []

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        closed.append(True)

    config = {"store": {"path": str(tmp_path / "shop.db")}, "checks": {}}
    async with Agent({**config, "server": {"enabled": False}}):
        failing = Lifespan(instrument(shop(lifespan=lifespan), config))
        said = await failing.startup()
    assert said["type"] == "lifespan.startup.failed"
    assert "is used by another otelhealth process" in said["message"]
    assert closed == [True]
    assert [message["type"] for message in failing.said] == ["lifespan.startup.failed"]


async def test_one_that_cannot_be_made_fails_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "grpc", None)
    monkeypatch.delitem(sys.modules, "otelhealth.telemetry.rpc", raising=False)
    telemetry = {"otlp": {"endpoint": "http://127.0.0.1:9", "protocol": "grpc"}}
    failing = Lifespan(instrument(shop(), {**QUIET, "telemetry": telemetry}))
    said = await failing.startup()
    assert said["type"] == "lifespan.startup.failed"
    assert "pip install 'otelhealth[grpc]'" in said["message"]


async def test_where_nobody_runs_the_lifespan_it_starts_with_the_first_request(
    caplog: pytest.LogCaptureFixture,
) -> None:
    app = instrumented()
    first = await asyncio.gather(*(ask(app, "/items/tea") for _ in range(5)))
    assert {talk.status for talk in first} == {200}
    assert await requests_seen(app) == 5
    said = [record.message for record in caplog.records if "first request" in record.message]
    assert said == ["otelhealth starts with the first request: nobody runs the application's lifespan"]
    await life_of(app).stop()


def test_a_loop_that_ends_stops_it_and_the_next_one_starts_it_again(caplog: pytest.LogCaptureFixture) -> None:
    """As a test client does that nobody enters: each request has a loop of its own."""
    app = instrumented()
    stopped = []
    for _ in range(2):
        assert asyncio.run(requests_after_one(app)) == 1
        stopped.append(life_of(app).agent is None)
    assert stopped == [True, True]
    assert len([record for record in caplog.records if "first request" in record.message]) == 1


async def requests_after_one(app: Any) -> int:
    await ask(app, "/items/tea")
    return await requests_seen(app)


async def test_where_it_cannot_start_then_the_application_answers_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = {"store": {"path": str(tmp_path / "shop.db")}, "checks": {}}
    async with Agent({**config, "server": {"enabled": False}}):
        app = instrument(shop(), config)
        for _ in range(2):
            assert (await ask(app, "/items/tea")).body == b"tea"
        assert (await ask(app, "/health/live", **LOCAL)).status == 503
    said = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(said) == 1
    assert said[0].message.startswith("the application answers without its agent: the store ")


async def test_a_mounted_one_starts_with_its_first_request() -> None:
    inner = instrumented()
    outer = Starlette(routes=[Mount("/shop", inner)])
    assert (await ask(outer, "/shop/health", **LOCAL)).status == 200
    assert (await ask(outer, "/shop/items/tea")).body == b"tea"
    await life_of(inner).stop()


async def test_one_inside_another_has_no_agent_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    inner = instrumented()
    app = instrumented(Starlette(routes=[Mount("/shop", inner)]))
    async with living(app):
        for _ in range(2):
            await ask(app, "/shop/items/tea")
        assert await requests_seen(app) == 2
        assert life_of(inner).agent is None
    assert [record.message for record in caplog.records if "only the outer one" in record.message] == [
        "an instrumented application in another one: only the outer one has an agent"
    ]


def test_a_bad_configuration_is_said_at_once() -> None:
    with pytest.raises(ConfigError, match="unknown key"):
        instrument(shop(), {"chekcs": {}})


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"instrumentation": "theirs"}, "instrumentation is 'theirs'; choose one of own, official, off"),
        ({"path_prefix": "ops"}, "path_prefix is 'ops'"),
        ({"path_prefix": "/ops/"}, "path_prefix is '/ops/'"),
        ({"checks": [check(every="never")(lambda: None)]}, "@check on"),
    ],
)
def test_a_bad_setting_is_said_at_once(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(OtelHealthError, match=sentence):
        instrumented(**settings)


async def test_a_prefix_moves_the_endpoints() -> None:
    async def own(_request: Request) -> Response:
        return PlainTextResponse("the application's")

    paths = ("/health", "/metrics", "/openapi.json")
    app = instrumented(Starlette(routes=[Route(path, own) for path in paths]), path_prefix="/ops")
    async with living(app):
        for path in paths:
            assert (await ask(app, path, **LOCAL)).body == b"the application's"
            moved = await ask(app, f"/ops{path}", **LOCAL)
            assert moved.status == 200
            assert moved.body != b"the application's"
        assert (await ask(app, "/opsy/health", **LOCAL)).status == 404


async def test_the_openapi_document_of_the_application_stays_its_own() -> None:
    app = instrumented(Starlette(routes=[Route("/openapi.json", plain)]))
    async with living(app):
        assert (await ask(app, "/openapi.json", **LOCAL)).body == b"tea"


async def test_behind_the_root_of_a_server_they_are_found() -> None:
    app = instrumented()
    async with living(app):
        assert (await ask(app, "/api/health/detailed", **LOCAL, root_path="/api")).status == 200


async def test_details_want_a_token_from_elsewhere() -> None:
    config = {**QUIET, "server": {"auth": {"tokens": ["0123456789abcdef"]}}}
    app = instrument(shop(), config)
    async with living(app):
        assert (await ask(app, "/health")).status == 200
        assert (await ask(app, "/health/detailed", **LOCAL)).status == 401
        known = {"host": "shop.example", "authorization": "Bearer 0123456789abcdef"}
        assert (await ask(app, "/metrics", headers=known)).status == 200
    app = instrumented()
    async with living(app):
        assert (await ask(app, "/health/detailed")).status == 403


async def test_switched_off_the_endpoints_are_the_application_s() -> None:
    app = instrument(Starlette(routes=[Route("/health", plain)]), {**QUIET, "server": {"enabled": False}})
    async with living(app):
        assert (await ask(app, "/health", **LOCAL)).body == b"tea"


@pytest.mark.parametrize(("instrumentation", "seen"), [("own", 1), ("official", 1), ("off", 0)])
async def test_requests_are_recorded_as_chosen(instrumentation: str, seen: int) -> None:
    app = instrumented(instrumentation=instrumentation)
    async with living(app):
        await ask(app, "/items/tea")
        await ask(app, "/health")
        assert await requests_seen(app) == seen


async def test_switched_off_what_the_framework_records_itself_is_read() -> None:
    """FastAPI's own telemetry wakes up once there are providers."""
    inner = FastAPI()
    inner.get("/items/{name}")(lambda name: name)
    app = instrumented(inner, instrumentation="off")
    async with living(app):
        await ask(app, "/items/tea")
        assert await requests_seen(app) == 1


@pytest.mark.parametrize("build", [shop, FastAPI])
async def test_an_application_with_providers_keeps_them_and_performance_is_told(build: Any) -> None:
    recording = Recording()
    trace.set_tracer_provider(recording.tracers)
    metrics.set_meter_provider(recording.meters)
    inner = build()
    if isinstance(inner, FastAPI):
        inner.get("/items/{name}")(lambda name: name)
    app = instrumented(inner)
    async with living(app):
        await ask(app, "/items/tea")
        assert await requests_seen(app) == 1
    servers = [span for span in recording.spans() if span.kind is SpanKind.SERVER]
    assert [span.name for span in servers] == ["GET /items/{name}"]
    assert list(recording.points("http.server.request.duration").values()) == [1]


async def test_the_service_s_name_stands_above_file_and_environment_also_after_a_reload(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "another")
    file = tmp_path / "otelhealth.yaml"
    file.write_text("service: {name: other}\nstore: {path: ':memory:'}\nchecks: {}\n")
    app = instrument(shop(), file, service="shop")
    async with living(app):
        assert (await get_json(app, "/health"))["service"] == "shop"
        file.write_text("service: {name: other}\nstore: {path: ':memory:'}\nchecks: {load: {kind: load}}\n")
        agent = life_of(app).agent
        assert agent is not None
        assert agent.telemetry.resource["service.name"] == "shop"
        await agent.reload()
        told = await get_json(app, "/health/detailed")
        assert (told["service"], list(told["checks"]), told["config"]["restart_needed"]) == ("shop", ["load"], [])


async def test_it_stands_for_the_application() -> None:
    inner = shop()
    app = instrument(inner, QUIET)
    assert isinstance(app, Starlette)
    app.state.shelves = 3
    setattr(app, "sign", "open")  # noqa: B010 - a name that the class does not know
    assert (inner.state.shelves, vars(inner)["sign"], app.routes) == (3, "open", inner.routes)
    app.add_route("/late", plain)
    delattr(app, "sign")
    assert not hasattr(inner, "sign")
    assert "add_route" in dir(app)
    assert repr(app).endswith("with otelhealth>")
    with pytest.raises(AttributeError, match="nothing"):
        getattr(app, "nothing")  # noqa: B009 - as above
    async with living(app):
        assert (await ask(app, "/late")).body == b"tea"


async def test_routes_and_middleware_can_be_put_together_by_hand() -> None:
    agent = Agent(QUIET, role="app")

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with agent:
            yield

    inner = Starlette(routes=[Route("/items/{name}", plain), *routes(agent, "/ops")], lifespan=lifespan)
    app = AgentMiddleware(inner, agent)
    async with living(app):
        await ask(app, "/items/tea")
        assert (await ask(app, "/ops/health/live")).status == 200
        assert (await ask(app, "/ops/health/checks/none", **LOCAL)).status == 404
        agent.telemetry.read_application()
        told = await get_json(app, "/ops/health/detailed")
        assert told["performance"]["requests"] == 1
        talk = Talk([{"type": "http.request", "body": b""}])
        await ask(app, "/ops/metrics", talk=talk)
        assert talk.status == 403


def test_below_exec_it_is_said_that_a_name_in_the_code_is_not_that_of_the_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    instrumented(service="till")
    monkeypatch.setenv("OTELHEALTH_BESIDE", str(tmp_path))
    instrumented(service="shop")
    assert not caplog.messages
    instrumented(service="till")
    assert "service='till' names this agent alone" in caplog.text
    assert "as those of 'shop'; set OTEL_SERVICE_NAME" in caplog.text
