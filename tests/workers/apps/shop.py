"""A shop whose check writes a line for each of its runs, and that is open or closed."""

from __future__ import annotations

import os
import time
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from otelhealth import check, instrument

FOLDER = Path(os.environ["SHOP_FOLDER"])


@check(
    every="1s",
    timeout="1s",
    grace=os.environ["SHOP_GRACE"],
    groups=["ready", "startup"],
    tier=1,
    threshold={"max_consecutive_failures": 1},
)
async def stock() -> bool:
    """A line of the time, the pid and whether it held: it does while there is no file `out`."""
    held = not (FOLDER / "out").exists()
    with (FOLDER / "runs").open("a") as lines:
        lines.write(f"{time.time()} {os.getpid()} {held}\n")
    return held


async def item(_request: Request) -> Response:
    return PlainTextResponse(str(os.getpid()))


async def closed(_request: Request) -> Response:
    return PlainTextResponse("closed", 503)


app = instrument(Starlette(routes=[Route("/item", item), Route("/closed", closed)]), service="shop", checks=[stock])
