"""A program that makes numbered spans, log records and collections of metrics until SIGTERM, and says how many.

`python -m tests.faults.load '{"way": "spool" | "plain" | "exec", "endpoint": URL, "name": NAME, "folder": PATH, ..}'`:
the way `spool` is an Agent with its SDK providers, `plain` the official exporters as they come, `exec` what it finds.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from opentelemetry import _logs, metrics, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from otelhealth import Agent
from otelhealth.clock import SYSTEM, SystemClock

SCOPE = "load"  # of all that it makes
PER_TRACE = 100
STEP = 0.05  # s between two looks at the clock
WINDOWS = "otelhealth-windows"
COLLECT = 1.0  # s between two collections of metrics


@dataclass
class Order:
    """What is asked of it."""

    way: str
    endpoint: str
    name: str
    folder: str
    rate: int = 200  # spans a second, and as many log records
    first: int = 0  # the number to begin with
    jump: float = 0.0  # s by which the wall clock jumps on SIGUSR1
    fork: bool = False  # on SIGUSR1 a child goes on making spans of its own
    traces: str = ""  # URL of the plain exporter, where it is not below the endpoint
    metrics: str = ""


class JumpingClock(SystemClock):
    """The machine's, set forward (or back) by `by` seconds."""

    by = 0.0

    def time(self) -> float:
        return time.time() + self.by


class Plain(AbstractAsyncContextManager["Plain"]):
    """The SDK's providers with the official exporters, closed as an application does it."""

    def __init__(self, order: Order) -> None:
        resource = Resource({"service.name": order.name, "service.instance.id": order.name})
        self.tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
        spans = OTLPSpanExporter(order.traces or f"{order.endpoint}/v1/traces")
        self.tracers.add_span_processor(BatchSpanProcessor(spans))
        self.loggers = LoggerProvider(resource=resource, shutdown_on_exit=False)
        self.loggers.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(f"{order.endpoint}/v1/logs")))
        exporter = OTLPMetricExporter(order.metrics or f"{order.endpoint}/v1/metrics")
        reader = PeriodicExportingMetricReader(exporter, export_interval_millis=COLLECT * 1000)
        self.meters = MeterProvider([reader], resource=resource, shutdown_on_exit=False)
        trace.set_tracer_provider(self.tracers)
        _logs.set_logger_provider(self.loggers)
        metrics.set_meter_provider(self.meters)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.tracers.shutdown()
        self.meters.shutdown()
        self.loggers.shutdown()


class Spooled(AbstractAsyncContextManager["Spooled"]):
    """The agent, whose providers are the process' global ones."""

    def __init__(self, order: Order) -> None:
        self.clock = JumpingClock() if order.jump else SYSTEM
        told = {
            "service": {"name": order.name},
            "server": {"enabled": False},
            "store": {"path": ":memory:"},
            "telemetry": {
                "otlp": {"endpoint": order.endpoint, "spool": {"path": f"{order.folder}/spool.db"}},
                "metrics": {"interval": f"{COLLECT}s"},
            },
            "checks": {"load": {"kind": "load", "every": "1h"}},
        }
        self.agent = Agent(told, clock=self.clock)

    async def __aenter__(self) -> Self:
        await self.agent.__aenter__()
        self.agent.telemetry.set_global()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        await self.agent.__aexit__(kind, error, where)
        say({"export": self.agent.telemetry.export_record()})


class Load:
    """Spans and log records by their number, at an even pace whatever the exporters do."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.made = order.first
        self.collections = 0
        self.parent: trace.Span = trace.INVALID_SPAN
        meter = metrics.get_meter(SCOPE)
        meter.create_observable_counter("faults.collections", [self.collect])

    def collect(self, _: CallbackOptions) -> Iterable[Observation]:
        if threading.current_thread().name != WINDOWS:  # the agent looks at the application's figures too
            self.collections += 1
        yield Observation(self.collections)

    def make(self, count: int, mark: str = "s") -> None:
        tracer, logger = trace.get_tracer(SCOPE), _logs.get_logger(SCOPE)
        for _ in range(count):
            if self.made % PER_TRACE == 0 or not self.parent.get_span_context().is_valid:
                self.parent = tracer.start_span(f"{mark}-root-{self.made}")
                self.parent.end()
            context = trace.set_span_in_context(self.parent)
            tracer.start_span(f"{mark}-{self.made}", context).end()
            logger.emit(body=f"{mark}-{self.made}", severity_number=SeverityNumber.INFO)
            self.made += 1

    async def run(self, stopped: asyncio.Event) -> None:
        began = time.monotonic()
        while not stopped.is_set():
            due = int((time.monotonic() - began) * self.order.rate)
            self.make(due - (self.made - self.order.first))
            say({"made": self.made, "collections": self.collections})
            await asyncio.sleep(STEP)


def say(told: object) -> None:
    print(json.dumps(told), flush=True)


def fork(load: Load) -> None:
    """The child makes a hundred spans in two seconds, and ends without a word."""
    if os.fork():
        return
    for _ in range(20):
        load.make(5, "child")
        time.sleep(0.1)
    time.sleep(2.0)
    os._exit(0)


async def main(order: Order) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    async with WAYS[order.way](order) as running:
        load = Load(order)

        def act() -> None:
            if order.fork:
                fork(load)
            if isinstance(running, Spooled) and isinstance(running.clock, JumpingClock):
                running.clock.by += order.jump

        loop.add_signal_handler(signal.SIGUSR1, act)
        await load.run(stopped)
    say({"made": load.made, "collections": load.collections})


WAYS: Mapping[str, Callable[[Order], AbstractAsyncContextManager[object]]] = {
    "plain": Plain,
    "spool": Spooled,
    "exec": nullcontext,
}

if __name__ == "__main__":
    asyncio.run(main(Order(**json.loads(sys.argv[1]))))
