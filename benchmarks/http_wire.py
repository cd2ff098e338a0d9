"""CPU of one HTTP check's wire, beside a bare aiohttp GET loop at the same pace, in one run.

    python -m benchmarks.http_wire [--rate 500] [--seconds 10] [--rounds 3]

Both on uvloop, a new connection each, the server in a process of its own; the rounds alternate, the medians count.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable

import aiohttp
import uvloop

from benchmarks.measure import Child
from otelhealth.checks.http import Exchange
from otelhealth.checks.request import Request
from otelhealth.checks.url import Url

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
Get = Callable[[], Awaitable[None]]


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
    bare, wire = [], []
    with Child("benchmarks.peers", "answering") as server:
        url = f"http://127.0.0.1:{server.said()}/health"
        for _ in range(args.rounds):
            bare.append(uvloop.run(bare_aiohttp(url, args.rate, args.seconds)))
            wire.append(uvloop.run(our_wire(url, args.rate, args.seconds)))
    low, high = statistics.median(wire), statistics.median(bare)
    print(f"at {args.rate:g}/s: wire with phases {low:.0f} us, bare aiohttp {high:.0f} us: {low / high:.2f} x")


if __name__ == "__main__":
    main()
