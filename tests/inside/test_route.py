"""The route template of each framework, with mounts, included routers and roots; never a raw path."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import litestar
import pytest
import quart
from fastapi import APIRouter, FastAPI
from litestar.params import FromPath
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Receive, Scope, Send

from tests.inside.recording import Recording, ask

ROUTES = "http.route"


async def plain(_request: Request) -> Response:
    return PlainTextResponse("tea")


async def route_seen(app: ASGIApp, path: str, **more: Any) -> str | None:
    """The route of a request's span, which is that of its figures too."""
    recording = Recording()
    await ask(recording.around(app), path, **more)
    attributes = recording.span().attributes or {}
    [series] = recording.points("http.server.request.duration")
    assert dict(series).get(ROUTES) == attributes.get(ROUTES)
    found = attributes.get(ROUTES)
    return None if found is None else str(found)


def starlette() -> ASGIApp:
    leaf = Router([Route("/leaf/{name}", plain), Mount("/deep/{level}", routes=[Route("/", plain)])])
    return Starlette(
        routes=[
            Route("/", plain),
            Route("/items/{name:str}", plain),
            Mount("/tenants/{tenant}", leaf),
            Mount("/static", StaticFiles(directory=Path(__file__).parent)),
            Host("api.example", Router([Mount("/v1", routes=[Route("/users/{id}", plain)])])),
        ]
    )


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/", "/"),
        ("/items/tea", "/items/{name}"),
        ("/tenants/acme/leaf/oak", "/tenants/{tenant}/leaf/{name}"),
        ("/tenants/acme/deep/3/", "/tenants/{tenant}/deep/{level}/"),
        ("/tenants/acme/nothing", "/tenants/{tenant}/{path}"),
        ("/static/test_route.py", "/static/{path}"),
        ("/nothing", None),
    ],
)
async def test_starlette(path: str, route: str | None) -> None:
    assert await route_seen(starlette(), path) == route


async def test_a_mount_behind_a_host() -> None:
    assert await route_seen(starlette(), "/v1/users/7", headers={"host": "api.example"}) == "/v1/users/{id}"


async def test_the_root_that_the_server_knows_is_part_of_the_route() -> None:
    assert await route_seen(starlette(), "/shop/items/tea", root_path="/shop") == "/shop/items/{name}"
    seen = await route_seen(starlette(), "/shop/tenants/a/leaf/b", root_path="/shop")
    assert seen == "/shop/tenants/{tenant}/leaf/{name}"


class Forgetful:
    """An application that tells the endpoint, as Starlette did before 1.0 and FastAPI does for what is no API route."""

    def __init__(self, app: Starlette) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app(scope, receive, send)
        scope.pop("route", None)


@pytest.mark.parametrize(
    ("path", "route"),
    [("/items/tea", "/items/{name}"), ("/other/tea", "/other/{name}"), ("/sub/x", "/sub/{name}"), ("/nothing", None)],
)
async def test_a_route_is_found_by_its_endpoint_too(path: str, route: str | None) -> None:
    async def other(_request: Request) -> Response:
        return PlainTextResponse("x")

    below = Mount("/sub", routes=[Route("/{name}", other)])
    app = Starlette(routes=[Route("/items/{name}", plain), Route("/other/{name}", plain), below])
    assert await route_seen(Forgetful(app), path) == route


def fastapi() -> ASGIApp:
    app, router, inner = FastAPI(telemetry={"tracing": False, "metrics": False}), APIRouter(), APIRouter()
    app.get("/plain/{name}")(lambda name: name)
    inner.get("/items/{item}")(lambda item: item)
    router.include_router(inner, prefix="/v1")
    app.include_router(router, prefix="/api/{tenant}")
    below = FastAPI()
    below.get("/leaf/{name}")(lambda name: name)
    app.mount("/tenants/{tenant}", below)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent))
    return app


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/plain/x", "/plain/{name}"),
        ("/api/acme/v1/items/7", "/api/{tenant}/v1/items/{item}"),
        ("/tenants/acme/leaf/oak", "/tenants/{tenant}/leaf/{name}"),
        ("/tenants/acme/nothing", "/tenants/{tenant}/{path}"),
        ("/static/test_route.py", "/static/{path}"),
        ("/openapi.json", "/openapi.json"),
        ("/nothing", None),
    ],
)
async def test_fastapi(path: str, route: str | None) -> None:
    assert await route_seen(fastapi(), path) == route


async def test_fastapi_with_a_root_of_its_own() -> None:
    app = FastAPI()
    app.root_path = "/shop"  # as the deprecated parameter sets it
    app.get("/items/{item}")(lambda item: item)
    assert await route_seen(app, "/items/7") == "/shop/items/{item}"


@litestar.get("/items/{item:int}")
async def litestar_item(item: FromPath[int]) -> int:
    return item


@pytest.mark.parametrize(
    ("path", "route"), [("/items/7", "/items/{item}"), ("/api/v1/items/7", "/api/v1/items/{item}"), ("/nothing", None)]
)
async def test_litestar(path: str, route: str | None) -> None:
    app = litestar.Litestar([litestar_item, litestar.Router("/api/v1", route_handlers=[litestar_item])])
    assert await route_seen(app, path) == route  # type: ignore[arg-type]  # its own types of ASGI


@pytest.mark.parametrize(
    ("path", "route"), [("/items/7", "/items/<int:item>"), ("/shop/items/7", "/shop/items/<int:item>"), ("/no", None)]
)
async def test_quart(path: str, route: str | None) -> None:
    app, blueprint = quart.Quart(__name__), quart.Blueprint("shop", __name__, url_prefix="/shop")

    async def item(item: int) -> str:
        return str(item)

    app.route("/items/<int:item>")(item)
    blueprint.route("/items/<int:item>")(item)
    app.register_blueprint(blueprint)
    assert await route_seen(app, path) == route  # type: ignore[arg-type]  # its own types of ASGI


async def test_another_framework_in_a_mount() -> None:
    app = Starlette(routes=[Mount("/l/{x}", litestar.Litestar([litestar_item]))])  # type: ignore[arg-type]  # its own types
    assert await route_seen(app, "/l/1/items/7") == "/l/{x}/items/{item}"
