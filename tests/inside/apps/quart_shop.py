"""A shop on Quart, with its agent."""

from __future__ import annotations

from quart import Quart, websocket

from otelhealth import check, instrument


@check(every="500ms", groups=["ready"])
async def stock() -> bool:
    return True


app = instrument(Quart(__name__), service="shop", checks=[stock])


@app.get("/items/<name>")
async def item(name: str) -> dict[str, str]:
    return {"item": name}


@app.get("/broken")
async def broken() -> str:
    raise LookupError


@app.websocket("/rooms/<name>")
async def room(name: str) -> None:
    await websocket.send(f"{name}: {await websocket.receive()!s}")
    await websocket.close(4000)
