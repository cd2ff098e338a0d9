"""Telemetry that can be counted: every span, point and log record carries its number, and is looked for at the ends."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from tests.stack import otlp
from tests.stack.queries import JaegerApi, PrometheusApi, logs_in
from tests.stack.servers import Collector

AT_ONCE = 5
EVERY = 0.25
RATE = AT_ONCE / EVERY  # traces, points and records a second
SPANS = 2  # of each trace
SIGNALS = ("traces", "metrics", "logs")
FAILING = 2  # of so many traces one has failed


@dataclass(frozen=True)
class Trace:
    number: int
    trace_id: str
    span_ids: tuple[str, ...]

    @property
    def failed(self) -> bool:
        return self.number % FAILING == 0


class Sender:
    """Sends as an agent with a spool does: each request, in order, until the Collector has taken it. A thread per
    signal, so that one that is held up holds up no other."""

    def __init__(self, collector: Collector, service: str, signals: tuple[str, ...] = SIGNALS) -> None:
        self.collector = collector
        self.service = service
        self.begun = time.time()
        self.traces: list[Trace] = []
        self.taken = Counter[str]()  # numbers of each signal
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self.send, args=(signal,), name=signal) for signal in signals]

    def start(self) -> None:
        for thread in self.threads:
            thread.start()

    def stop(self) -> None:
        """Returns when all that was begun has been taken."""
        self.done.set()
        for thread in self.threads:
            thread.join(60)
        if any(thread.is_alive() for thread in self.threads):
            raise TimeoutError(f"{self.service}: what was begun is not taken: {self.taken}")

    def moment(self, number: int) -> float:
        """Unix time at which that number was made."""
        return self.begun + number // AT_ONCE * EVERY

    def send(self, signal: str) -> None:
        make: Callable[[range], dict[str, Any]] = getattr(self, signal + "_of")
        number = 0
        while not self.done.is_set():
            if (wait := self.moment(number) - time.time()) > 0:
                self.done.wait(wait)
                continue
            body = make(range(number, number + AT_ONCE))
            while not self.post(signal, body):
                time.sleep(0.2)  # as an agent waits between two attempts
            number += AT_ONCE
            self.taken[signal] = number

    def post(self, signal: str, body: dict[str, Any]) -> bool:
        try:
            return otlp.post(f"{self.collector.otlp_url}/v1/{signal}", body) == 200
        except OSError:
            return False

    @property
    def resource(self) -> dict[str, Any]:
        identity = {"service.name": self.service, "service.instance.id": f"{self.service}-1", "process.pid": "7"}
        return {"attributes": otlp.pairs(identity)}

    def traces_of(self, numbers: range) -> dict[str, Any]:
        fresh = [Trace(n, secrets.token_hex(16), (secrets.token_hex(8), secrets.token_hex(8))) for n in numbers]
        self.traces += fresh
        spans = [span for trace in fresh for span in self.spans_of(trace)]
        return {"resourceSpans": [{"resource": self.resource, "scopeSpans": [{"spans": spans}]}]}

    def spans_of(self, trace: Trace) -> Iterable[dict[str, Any]]:
        root, attempt = trace.span_ids
        begin = self.moment(trace.number)
        for span_id, parent in ((root, ""), (attempt, root)):
            yield {
                "traceId": trace.trace_id,
                "spanId": span_id,
                "parentSpanId": parent,
                "name": "attempt" if parent else "check numbered",
                "kind": 3 if parent else 1,
                "startTimeUnixNano": otlp.nanos(begin),
                "endTimeUnixNano": otlp.nanos(begin + 0.01),
                "status": {"code": 2} if trace.failed else {},
            }

    def metrics_of(self, numbers: range) -> dict[str, Any]:
        step = EVERY / AT_ONCE
        points = [
            {"timeUnixNano": otlp.nanos(self.moment(n) + n % AT_ONCE * step), "asDouble": float(n)} for n in numbers
        ]
        metric = {"name": "numbered", "gauge": {"dataPoints": points}}
        return {"resourceMetrics": [{"resource": self.resource, "scopeMetrics": [{"metrics": [metric]}]}]}

    def logs_of(self, numbers: range) -> dict[str, Any]:
        records = [{"timeUnixNano": otlp.nanos(self.moment(n)), "body": {"intValue": str(n)}} for n in numbers]
        return {"resourceLogs": [{"resource": self.resource, "scopeLogs": [{"logRecords": records}]}]}


@dataclass(frozen=True)
class Count:
    """What became of one signal of one sender. Numbers, or for traces those of the traces that are not whole."""

    sent: int
    lost: tuple[int, ...]
    twice: int

    def __str__(self) -> str:
        return f"{self.sent} sent, {len(self.lost)} lost, {self.twice} twice"


def count(wanted: Iterable[int], found: Counter[int]) -> Count:
    numbers = list(wanted)
    twice = sum(found[number] - 1 for number in numbers if found[number] > 1)
    return Count(len(numbers), tuple(number for number in numbers if not found[number]), twice)


def traces_at(jaeger: JaegerApi, sender: Sender, *, failed: bool = False) -> Count:
    """Of all, or of those that have failed."""
    now = time.time()
    found = jaeger.search(sender.service, sender.begun - 60, now + 60, limit=20_000)
    whole = Counter[int]()
    wanted = [trace for trace in sender.traces if trace.failed or not failed]
    for trace in wanted:
        seen = Counter(span.span_id for span in found.get(trace.trace_id, []))
        whole[trace.number] = min(seen[span_id] for span_id in trace.span_ids)
    return count((trace.number for trace in wanted), whole)


def points_at(prometheus: PrometheusApi, sender: Sender) -> Count:
    """A sample that comes twice is one sample in Prometheus, so `twice` is always 0."""
    samples = prometheus.query(f'numbered{{job="{sender.service}"}}[1h]')
    return count(range(sender.taken["metrics"]), Counter(int(sample.value) for sample in samples))


def records_at(gateways: Iterable[Collector], sender: Sender) -> Count:
    found = Counter[int]()
    for gateway in gateways:
        records = logs_in(gateway.folder / "data" / "logs.jsonl")
        found.update(int(str(r.body)) for r in records if r.resource["service.name"] == sender.service)
    return count(range(sender.taken["logs"]), found)


def calls_at(prometheus: PrometheusApi, sender: Sender, at_least: int = 0) -> int:
    """How many spans the span metrics have counted, once that many are: of each gateway the sum over its lives, for a
    counter that falls has been started anew."""
    samples = prometheus.query(f'traces_span_metrics_calls_total{{service_name="{sender.service}"}}[1h]')
    total, last = 0.0, dict[str, float]()
    for sample in samples:
        series = json.dumps(sample.labels, sort_keys=True)
        before = last.get(series, 0.0)
        total += sample.value - before if sample.value >= before else sample.value
        last[series] = sample.value
    return int(total) if total >= at_least else 0
