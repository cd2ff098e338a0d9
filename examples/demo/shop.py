"""A small service to be watched: a shop with a SQLite database and a payment partner that is not always there.

SHOP_LISTEN and SHOP_DATABASE say where, SHOP_PAYMENTS how the partner does: `up`, `down`, or `flaky`, which is down for
the last 20 seconds of each minute.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import uvicorn
from opentelemetry import trace
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from examples.demo.tracing import Traced, set_up

DATABASE = Path(os.environ.get("SHOP_DATABASE", "shop.db"))
PAYMENTS = os.environ.get("SHOP_PAYMENTS", "flaky")
STOCK = [("tea", 12), ("cup", 7), ("kettle", 1)]


def fill() -> None:
    """A database as a shop has it."""
    with closing(sqlite3.connect(DATABASE)) as database, database:
        database.execute("CREATE TABLE IF NOT EXISTS items (name TEXT PRIMARY KEY, stock INTEGER)")
        database.executemany("INSERT OR IGNORE INTO items VALUES (?, ?)", STOCK)


def stock() -> list[dict[str, object]]:
    with trace.get_tracer("shop").start_as_current_span("SELECT items"), closing(sqlite3.connect(DATABASE)) as database:
        return [{"name": name, "stock": left} for name, left in database.execute("SELECT name, stock FROM items")]


def payments_are_down() -> bool:
    return PAYMENTS == "down" or (PAYMENTS == "flaky" and time.time() % 60 >= 40)


async def items(_request: Request) -> Response:
    return JSONResponse({"items": await asyncio.to_thread(stock)})


async def item(request: Request) -> Response:
    found = [each for each in await asyncio.to_thread(stock) if each["name"] == request.path_params["name"]]
    return JSONResponse(found[0] if found else {"error": "no such item"}, 200 if found else 404)


async def checkout(_request: Request) -> Response:
    """Fails while the partner is down."""
    if payments_are_down():
        return JSONResponse({"error": "the payment partner does not answer"}, 503)
    return JSONResponse({"paid": True})


async def report(_request: Request) -> Response:
    """Is slow at times."""
    await asyncio.sleep(random.choice((0.05, 0.1, 0.2, 0.8)))
    return JSONResponse({"items": len(STOCK)})


ROUTES = [
    Route("/items", items),
    Route("/items/{name}", item),
    Route("/checkout", checkout),
    Route("/report", report),
]


def main() -> None:
    host, _, port = os.environ.get("SHOP_LISTEN", "127.0.0.1:8000").rpartition(":")
    set_up()
    fill()
    uvicorn.run(Traced(Starlette(routes=ROUTES)), host=host, port=int(port), log_level="warning")


if __name__ == "__main__":
    main()
