"""A shop on Litestar, with its agent."""

from __future__ import annotations

from litestar import Litestar, WebSocket, get, websocket
from litestar.datastructures import State
from litestar.params import FromPath

from otelhealth import check, instrument


@check(every="500ms", groups=["ready"])
async def stock() -> bool:
    return True


@get("/items/{name:str}")
async def item(name: FromPath[str]) -> dict[str, str]:
    return {"item": name}


@get("/broken")
async def broken() -> None:
    raise LookupError


@websocket("/rooms/{name:str}")
async def room(socket: WebSocket[object, object, State], name: FromPath[str]) -> None:
    await socket.accept()
    await socket.send_text(f"{name}: {await socket.receive_text()}")
    await socket.close(4000)


app = instrument(Litestar([item, broken, room]), service="shop", checks=[stock])
