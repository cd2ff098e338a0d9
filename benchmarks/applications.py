"""A Starlette application, bare or instrumented, that asks itself: what one request costs its process.

python -m benchmarks.applications {bare,ours,official,messages} OTLP_PORT
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import uvloop
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message

HEADERS = [
    (b"host", b"127.0.0.1:8000"),
    (b"user-agent", b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
    (b"accept", b"*/*"),
    (b"accept-encoding", b"gzip, deflate, br"),
    (b"connection", b"keep-alive"),
]
RUNNING: list[asyncio.Task[None]] = []
BURST = 20  # requests between two turns of the event loop
_FOLDER = TemporaryDirectory(prefix="otelhealth-bench-")
RATE = 1000.0  # per second at most: the SDK's queues must not overflow


async def hello(_request: Request) -> Response:
    return PlainTextResponse("hello")


def bare() -> ASGIApp:
    return Starlette(routes=[Route("/hello/{name}", hello)])


def ours(port: int) -> ASGIApp:
    from otelhealth import instrument  # noqa: PLC0415 - each kind of process loads what it needs

    store = Path(_FOLDER.name) / "app.db"
    otlp = {"endpoint": f"http://127.0.0.1:{port}"}
    return instrument(bare(), {"store": {"path": str(store)}, "checks": {}, "telemetry": {"otlp": otlp}})


def official(port: int, excluded: list[Any] | None) -> ASGIApp:
    """As its documentation sets it up, with the stable convention."""
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
    from opentelemetry.exporter.otlp.proto.http import Compression  # noqa: PLC0415 - as above
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter  # noqa: PLC0415 - as above
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415 - as above
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware  # noqa: PLC0415 - as above
    from opentelemetry.sdk.metrics import MeterProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415 - as above
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415 - as above

    url = f"http://127.0.0.1:{port}/v1"
    tracers = TracerProvider()
    spans = OTLPSpanExporter(f"{url}/traces", compression=Compression.Gzip)
    tracers.add_span_processor(BatchSpanProcessor(spans, max_queue_size=10_000, schedule_delay_millis=1000))
    figures = OTLPMetricExporter(f"{url}/metrics", compression=Compression.Gzip)
    meters = MeterProvider([PeriodicExportingMetricReader(figures, export_interval_millis=15_000)])
    made: Any = OpenTelemetryMiddleware(bare(), tracer_provider=tracers, meter_provider=meters, exclude_spans=excluded)
    return cast("ASGIApp", made)


KINDS: dict[str, Callable[[int], ASGIApp]] = {
    "bare": lambda _port: bare(),
    "ours": ours,
    "official": lambda port: official(port, ["receive", "send"]),
    "messages": lambda port: official(port, None),
}


def scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/hello/world",
        "raw_path": b"/hello/world",
        "root_path": "",
        "query_string": b"",
        "headers": list(HEADERS),
        "client": ("127.0.0.1", 4711),
        "server": ("127.0.0.1", 8000),
        "state": {},
    }


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


async def send(_message: Message) -> None:
    """To nowhere."""


async def cost(app: ASGIApp, requests: int) -> float:
    """us of CPU of this process, with all its threads, for each request; what they export is in it."""
    begun, before = time.monotonic(), time.process_time()
    for number in range(requests):
        await app(scope(), receive, send)
        if number % BURST == 0:
            await asyncio.sleep(max(0.0, begun + number / RATE - time.monotonic()))
    await asyncio.sleep(1.5)  # until the last batch is sent
    return 1e6 * (time.process_time() - before) / requests


async def started(app: ASGIApp) -> None:
    """Run its lifespan, for ever."""
    up = asyncio.Event()
    told = [{"type": "lifespan.startup"}]

    async def tell() -> Message:
        if not told:
            await asyncio.Event().wait()
        return told.pop()

    async def said(_message: Message) -> None:
        up.set()

    async def live() -> None:
        await app({"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}, tell, said)
        up.set()

    RUNNING.append(asyncio.create_task(live()))
    await up.wait()


async def main(kind: str, port: int) -> None:
    app = KINDS[kind](port)
    await started(app)
    await cost(app, 500)
    print(json.dumps("ready"), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        print(json.dumps(await cost(app, json.loads(line))), flush=True)


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], int(sys.argv[2])))
