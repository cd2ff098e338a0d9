"""A shop on Starlette, with its agent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from otelhealth import check, instrument


@check(every="500ms", groups=["ready"])
async def stock() -> bool:
    return True


async def item(request: Request) -> Response:
    await asyncio.sleep(float(request.query_params.get("wait", "0")))
    return JSONResponse({"item": request.path_params["name"]})


async def broken(_request: Request) -> Response:
    raise LookupError("no such shelf")


async def tale(_request: Request) -> Response:
    async def parts() -> AsyncIterator[str]:
        for number in range(3):
            yield f"{number}\n"
            await asyncio.sleep(0.1)

    return StreamingResponse(parts())


async def unavailable(_request: Request) -> Response:
    return PlainTextResponse("closed", 503)


async def room(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text(f"{socket.path_params['name']}: {await socket.receive_text()}")
    await socket.close(4000)


@asynccontextmanager
async def open_shop(_app: Starlette) -> AsyncIterator[None]:
    print("the shop opens", flush=True)
    yield
    print("the shop closes", flush=True)


leaf = Starlette(routes=[Route("/leaf/{name}", item)])
app = instrument(
    Starlette(
        routes=[
            Route("/items/{name}", item),
            Route("/broken", broken),
            Route("/tale", tale),
            Route("/unavailable", unavailable),
            WebSocketRoute("/rooms/{name}", room),
            Mount("/tenants/{tenant}", leaf),
        ],
        lifespan=open_shop,
    ),
    service="shop",
    checks=[stock],
)
