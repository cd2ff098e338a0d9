"""Run as a program: `crowd.py CONNECTIONS LIMIT` opens so many half-sent requests to a server in a child process.

Prints the figures that test_limits asserts on, one `name value` each.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import multiprocessing.connection
import resource
import sys
import urllib.request
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.server.agent import serving

HALF = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\nx: "


def all_descriptors() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def serve(limit: int, pipe: multiprocessing.connection.Connection) -> None:
    async def answer_questions() -> None:
        limits = {"connections": limit, "header_time": "10m"}
        async with serving("db", limits=limits) as client:
            pipe.send(client.address.port)
            while await asyncio.to_thread(pipe.recv):
                pipe.send(client.server.connections)

    all_descriptors()
    with contextlib.suppress(EOFError):
        asyncio.run(answer_questions())


async def open_all(port: int, count: int) -> list[asyncio.StreamWriter]:
    writers = []
    for _ in range(count):
        writer = (await asyncio.open_connection("127.0.0.1", port))[1]
        writer.write(HALF)
        writers.append(writer)
    return writers


async def main(count: int, limit: int) -> None:
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    server = context.Process(target=serve, args=(limit, theirs), daemon=True)
    server.start()
    port = mine.recv()
    process = psutil.Process(server.pid)
    first = await open_all(port, 5)
    before = process.memory_info().rss
    writers = await open_all(port, count - len(first))
    # answered last, so that all the others have been accepted
    url = f"http://127.0.0.1:{port}/health/live"
    print("live", await asyncio.to_thread(lambda: urllib.request.urlopen(url, timeout=30).status))
    grown = process.memory_info().rss - before
    mine.send(True)
    print("open", mine.recv())
    print("grown_bytes", grown)
    print("bytes_each", grown / len(writers))
    server.terminate()
    server.join()


if __name__ == "__main__":
    all_descriptors()
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
