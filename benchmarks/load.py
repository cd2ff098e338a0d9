"""Asks one path at a pace over kept connections, from a process of its own.

python -m benchmarks.load; each question is {port, path, rate, seconds}, its answer the seconds each request took; with
`spans` it posts so many of them as OTLP
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import deque
from typing import Any, cast

import uvloop
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

CONNECTIONS = 20


class Client(asyncio.Protocol):
    """One kept connection; one request at a time, the rest wait their turn."""

    def __init__(self, request: bytes) -> None:
        self.took: list[float] = []
        self._request = request
        self._due: deque[float] = deque()
        self._data = b""
        self.idle = asyncio.Event()
        self.idle.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def ask(self, due: float) -> None:
        self._due.append(due)
        if len(self._due) == 1:
            self.idle.clear()
            self.transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, rest = self._data.partition(b"\r\n\r\n")
        if not found or len(rest) < int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            return
        self._data = b""
        self.took.append(time.monotonic() - self._due.popleft())
        if self._due:
            self.transport.write(self._request)
        else:
            self.idle.set()


def asking(path: str, spans: int) -> bytes:
    """The request as it goes over the wire."""
    if not spans:
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    body = traces(spans)
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-protobuf\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def traces(spans: int) -> bytes:
    """What a web service sends of so many requests: some 190 bytes each."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for number in range(spans):
        span = scope.spans.add(name="GET /items/{id}", kind=2, trace_id=os.urandom(16), span_id=os.urandom(8))
        span.start_time_unix_nano = span.end_time_unix_nano = time.time_ns()
        for key, value in (
            ("http.request.method", "GET"),
            ("http.route", "/items/{id}"),
            ("url.path", f"/items/{number}"),
        ):
            span.attributes.add(key=key).value.string_value = value
        span.attributes.add(key="http.response.status_code").value.int_value = 200
    return bytes(request.SerializeToString())


async def load(port: int, path: str, rate: float, seconds: float, spans: int = 0) -> list[float]:
    loop = asyncio.get_running_loop()
    request = asking(path, spans)
    clients = [
        (await loop.create_connection(lambda: Client(request), "127.0.0.1", port))[1] for _ in range(CONNECTIONS)
    ]
    first = loop.time()
    for number in range(round(rate * seconds)):
        due = first + number / rate
        if (wait := due - loop.time()) > 0:
            await asyncio.sleep(wait)
        clients[number % CONNECTIONS].ask(due)
    async with asyncio.timeout(10.0):
        for client in clients:
            await client.idle.wait()
    for client in clients:
        client.transport.abort()
    return [took for client in clients for took in client.took]


async def main() -> None:
    loop = asyncio.get_running_loop()
    print("0", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        asked: dict[str, Any] = json.loads(line)
        print(json.dumps(await load(**asked)), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
