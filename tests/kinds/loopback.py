"""Real servers on port 0, certificates made at run time, and the context a probe is given."""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast
from unittest.mock import patch

import trustme
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelhealth.checks.base import Check, Context
from otelhealth.checks.stream import Attempt
from otelhealth.clock import SYSTEM, Clock
from otelhealth.model import CheckResult, Surroundings, Threads
from tests.waiting import until

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
DAY = dt.timedelta(days=1)


@asynccontextmanager
async def serving(
    handler: Handler,
    *,
    tls: ssl.SSLContext | None = None,
    host: str = "127.0.0.1",
    port: int = 0,
    path: Path | None = None,
) -> AsyncIterator[int]:
    """The port on which `handler` answers (0 for the unix socket at `path`); its connections end with the block."""
    tasks: set[asyncio.Task[None]] = set()
    ended = False

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if ended:  # it had come, but its task begins only now
            writer.transport.abort()
            return
        tasks.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
                await handler(reader, writer)
                writer.close()
        finally:
            tasks.discard(task)
            writer.transport.abort()

    if path is None:
        server = await asyncio.start_server(connected, host, port, ssl=tls)
    else:
        server = await asyncio.start_unix_server(connected, path)
    try:
        yield 0 if path else server.sockets[0].getsockname()[1]
    finally:
        ended = True
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def answering(*answers: bytes) -> tuple[Handler, list[bytes]]:
    """A handler that gives one answer after the other (the last one again and again), and the requests it saw."""
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await read_request(reader))
        writer.write(answers[min(len(seen), len(answers)) - 1])
        await writer.drain()

    return handler, seen


async def read_request(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            return head + await reader.readexactly(int(line.split(b":")[1]))
    return head


def http(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """An answer as it goes over the wire."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass
class Authority:
    """A certificate authority of this test run, its root in a file."""

    folder: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def root(self) -> Path:
        path = self.folder / "root.pem"
        self.ca.cert_pem.write_to_path(path)
        return path

    def server(self, *names: str, days: float = 90, started: float = -30) -> ssl.SSLContext:
        """A server's context with a certificate for `names` that has `days` left."""
        now = dt.datetime.now(dt.UTC)
        issued = self.ca.issue_cert(
            *(names or ("localhost", "127.0.0.1")), not_before=now + started * DAY, not_after=now + days * DAY
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        issued.configure_cert(context)
        return context


@dataclass
class Bench:
    """Runs probes the way the runner does, and keeps their spans and what the checks remember."""

    clock: Clock = SYSTEM
    around: Surroundings = field(default_factory=Surroundings)
    memory: dict[str, object] = field(default_factory=dict)
    exporter: InMemorySpanExporter = field(default_factory=InMemorySpanExporter)
    last: Context | None = None

    def __post_init__(self) -> None:
        self.provider = TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self._tracer = self.provider.get_tracer("tests")

    async def probe(self, check: Check, *, timeout: float = 10.0) -> CheckResult:
        """One attempt; raises ProbeError, or TimeoutError at the deadline."""
        with self._tracer.start_as_current_span("check") as root:
            self.last = Context(
                check.name or "check",
                clock=self.clock,
                deadline=self.clock.monotonic() + timeout,
                memory=self.memory,
                threads=cast("Threads", None),
                surroundings=self.around,
                tracer=self._tracer,
                span=root,
                propagate=check.propagate,
            )
            async with asyncio.timeout(timeout):
                return await check.probe(self.last)

    async def overdue_in(self, phase: str, check: Check) -> None:
        """One attempt whose deadline comes when it enters that phase, on whatever machine; raises as `probe`."""
        enter = Attempt.enter
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(None) as limit:

            def entering(attempt: Attempt, entered: str) -> None:
                enter(attempt, entered)
                if entered == phase:
                    limit.reschedule(loop.time())

            with patch.object(Attempt, "enter", entering):
                await self.probe(check)

    @property
    def log(self) -> tuple[str, ...]:
        return self.last.lines if self.last else ()

    @property
    def span(self) -> ReadableSpan:
        """The last CLIENT span."""
        return [span for span in self.exporter.get_finished_spans() if span.name != "check"][-1]


def open_files() -> int:
    """How many descriptors this process holds."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def settled(wanted: int) -> None:
    """Wait until no more than `wanted` descriptors are open."""
    await until(lambda: open_files() <= wanted)
