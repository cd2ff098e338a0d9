"""A service that answers alone."""

from __future__ import annotations

import os

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def item(request: Request) -> JSONResponse:
    return JSONResponse({"id": request.path_params["id"], "pid": os.getpid()})


app = Starlette(routes=[Route("/items/{id}", item)])
