"""The yardstick: a bare aiohttp GET loop on uvloop, a new connection each, paced, and nothing else.

python -m benchmarks.bare URL RATE
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

import aiohttp
import uvloop


async def loop_for_ever(url: str, rate: float) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True, limit=0)) as session:

        async def get() -> None:
            async with session.get(url) as response:
                await response.read()

        first = time.monotonic()
        tasks: set[asyncio.Task[None]] = set()
        print(json.dumps("running"), flush=True)
        number = 0
        while True:
            wait = first + number / rate - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            task = asyncio.ensure_future(get())
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            number += 1


if __name__ == "__main__":
    uvloop.run(loop_for_ever(sys.argv[1], float(sys.argv[2])))
