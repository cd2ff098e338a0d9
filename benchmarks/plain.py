"""The yardstick of serving and of taking: a bare Starlette route, on the agent's own server or on uvicorn as it comes.

python -m benchmarks.plain {ours,uvicorn}
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from otelhealth.server.serve import Server
from otelhealth.server.settings import ServerSettings


async def health(_request: Request) -> Response:
    return JSONResponse({"status": "healthy", "timestamp": 1_700_000_000, "uptime_seconds": 60, "service": "bench"})


async def taken(request: Request) -> Response:
    await request.body()
    return Response(media_type="application/x-protobuf")


async def serve(which: str) -> None:
    app = Starlette(routes=[Route("/health", health), Route("/v1/traces", taken, methods=["POST"])])
    if which == "ours":
        address = await Server(app, ServerSettings(listen="127.0.0.1:0")).start()
        print(json.dumps(address.port), flush=True)
        await asyncio.Event().wait()
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", access_log=False))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(json.dumps(listener.getsockname()[1]), flush=True)
        await server.serve([listener])


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1]))
