"""A service without a line of telemetry: each item asks a database, and another service for its price."""

from __future__ import annotations

import os
import sqlite3

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def item(request: Request) -> JSONResponse:
    database = sqlite3.connect(":memory:")
    cursor = database.cursor()
    cursor.execute("SELECT 40 + ?", (2,))
    stock = cursor.fetchone()[0]
    database.close()
    async with httpx.AsyncClient() as client:
        answer = await client.get(os.environ["PRICES"])
    return JSONResponse({"id": request.path_params["id"], "stock": stock, "price": answer.json(), "pid": os.getpid()})


async def price(_request: Request) -> JSONResponse:
    return JSONResponse(3)


async def broken(_request: Request) -> JSONResponse:
    raise LookupError("sold out")


app = Starlette(routes=[Route("/items/{id}", item), Route("/price", price), Route("/broken", broken)])
