"""A service with a health agent of its own."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from otelhealth import check, instrument


@check(every="1s", groups=["ready"])
def stock() -> bool:
    return True


async def item(request: Request) -> JSONResponse:
    return JSONResponse({"id": request.path_params["id"]})


app = instrument(Starlette(routes=[Route("/items/{id}", item)]), checks=[stock])
