"""CPU of one HTTP check's wire, beside a bare aiohttp GET loop at the same pace, in one run.

    python -m benchmarks.http_wire [--rate 500] [--seconds 10] [--rounds 3]

Both on uvloop, a new connection each, the server in a process of its own; the rounds alternate, the medians count.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

import aiohttp
import uvloop

from otelhealth.checks.http import Exchange
from otelhealth.checks.request import Request
from otelhealth.checks.url import Url

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 15\r\nconnection: close\r\n\r\n"
    b'{"status":"ok"}'
)
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Get = Callable[[], Awaitable[None]]


class Answering(asyncio.Protocol):
    """The least a server can do."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, _data: bytes) -> None:
        self.transport.write(ANSWER)
        self.transport.close()


def serve(told: Connection) -> None:
    async def run() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, "127.0.0.1", 0, backlog=1024)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(run())


async def paced(get: Get, rate: float, seconds: float) -> float:
    """us of this process's CPU for each GET at `rate` per second."""
    tasks = []
    count = round(rate * seconds)
    first = time.monotonic()
    before = time.process_time()
    for number in range(count):
        wait = first + number / rate - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        tasks.append(asyncio.ensure_future(get()))
    await asyncio.gather(*tasks)
    return (time.process_time() - before) / count * 1e6


async def bare_aiohttp(url: str, rate: float, seconds: float) -> float:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0)) as session:

        async def get() -> None:
            async with session.get(url) as response:
                await response.read()

        return await paced(get, rate, seconds)


async def our_wire(url: str, rate: float, seconds: float) -> float:
    request = Request("GET", Url.parse(url))

    async def get() -> None:
        response = await Exchange().run(request, TRACEPARENT)
        assert response.status == 200

    return await paced(get, rate, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=500)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}/health"
    bare, wire = [], []
    for _ in range(args.rounds):
        bare.append(uvloop.run(bare_aiohttp(url, args.rate, args.seconds)))
        wire.append(uvloop.run(our_wire(url, args.rate, args.seconds)))
    server.terminate()
    low, high = statistics.median(wire), statistics.median(bare)
    print(f"at {args.rate:g}/s: wire with phases {low:.0f} us, bare aiohttp {high:.0f} us: {low / high:.2f} x")


if __name__ == "__main__":
    main()
