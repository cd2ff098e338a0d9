"""A shop on FastAPI, with its agent."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, WebSocket

from otelhealth import check, instrument


@check(every="500ms", groups=["ready"])
def stock() -> bool:
    return True


app = instrument(FastAPI(), service="shop", checks=[stock])
router = APIRouter(prefix="/shop")


@app.get("/items/{name}")
async def item(name: str) -> dict[str, str]:
    return {"item": name}


@router.get("/shelves/{number}")
def shelf(number: int) -> int:
    return number


@app.get("/broken")
async def broken() -> None:
    raise LookupError


@app.websocket("/rooms/{name}")
async def room(socket: WebSocket, name: str) -> None:
    await socket.accept()
    await socket.send_text(f"{name}: {await socket.receive_text()}")
    await socket.close(4000)


app.include_router(router)
