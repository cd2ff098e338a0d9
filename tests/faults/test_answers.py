"""Row R4 of the fault table: what a receiver may answer to traces for a while; the other signals flow on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple

import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Tracer

from otelhealth.telemetry import Identity, Telemetry, TelemetrySettings
from tests.faults.figures import Figures
from tests.faults.load import SCOPE
from tests.faults.scripted import arrived
from tests.telemetry.receiver import Answer, Receiver
from tests.waiting import eventually

Put = Callable[[Figures], Figures]
Judge = Callable[[bytes, Mapping[str, str]], Answer]
pytestmark = pytest.mark.faults
PAUSE = 0.2  # s between two spans
SERVICE = "shop"


class Case(NamedTuple):
    """`dropped`: what was made in the fault is lost, counted and said; else all arrives."""

    fault: str
    judge: Judge
    said: str
    dropped: bool = False
    paths: Collection[str] = ("/v1/traces",)


class Picky(Receiver):
    """Judges the requests of a case's signals, until it is content."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        self._case = case
        self.judged = 0  # requests
        self.content = False

    def choose(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        if self.content or path not in self._case.paths:
            return Answer()
        self.judged += 1
        return self._case.judge(body, headers)


def spans_in(body: bytes) -> int:
    resources = ExportTraceServiceRequest.FromString(body).resource_spans
    return sum(len(scope.spans) for resource in resources for scope in resource.scope_spans)


def always(answer: Answer) -> Judge:
    return lambda _body, _headers: answer


def later() -> Judge:
    """503 with the date of four seconds on."""
    return lambda _body, _headers: Answer(503, {"retry-after": formatdate(time.time() + 4, usegmt=True)})


REJECTED = ExportTracePartialSuccess(rejected_spans=1, error_message="one is bad")
PARTIAL = ExportTraceServiceResponse(partial_success=REJECTED).SerializeToString()
CASES = {
    "302": Case("302", always(Answer(302, {"location": "http://127.0.0.1:9/"})), "answered 302, what comes is kept"),
    "400": Case("400", always(Answer(400)), "answered 400, items dropped: ", dropped=True),
    "401": Case("401", always(Answer(401)), "answered 401, what comes is kept"),
    "404": Case("404", always(Answer(404)), "answered 404, what comes is kept"),
    "413": Case("413 above two spans", lambda body, _: Answer(413 if spans_in(body) > 2 else 200), ""),
    "429": Case("429", always(Answer(429)), "answered 429, what comes is kept"),
    "429-30": Case(
        "429, Retry-After: 12", always(Answer(429, {"retry-after": "12"})), "answered 429, what comes is kept"
    ),
    "500": Case("500", always(Answer(500)), "answered 500, what comes is kept"),
    "503": Case("503", always(Answer(503)), "answered 503, what comes is kept"),
    "503-all": Case(
        "503 to every signal",
        always(Answer(503)),
        "answered 503, what comes is kept",
        paths=("/v1/traces", "/v1/metrics"),
    ),
    "503-date": Case("503, Retry-After: a date", later(), "answered 503, what comes is kept"),
    "partial": Case("partial_success", always(Answer(body=PARTIAL)), "took all but 1 items: one is bad", dropped=True),
    "reset": Case("reset in mid-body", always(Answer(reset=True)), "closed the connection, what comes is"),
    "gzip": Case(
        "gzip refused",
        lambda _, headers: Answer(415 if "content-encoding" in headers else 200),
        "the receiver refuses gzip (415); set telemetry.otlp.compression: none",
    ),
}


class Ran(NamedTuple):
    """Both ways of one case; `flowed`: exports of metrics that were taken during the fault."""

    spool: Figures
    plain: Figures
    dropped: int
    flowed: int


def spans(tracer: Tracer, until: float) -> int:
    """Makes one each `PAUSE` seconds; how many."""
    made = 0
    while time.monotonic() < until:
        tracer.start_span(f"s-{made}").end()
        made += 1
        time.sleep(PAUSE)
    return made


def spooled(case: Case, folder: Path, until: float) -> tuple[Figures, int, int]:
    receiver = Picky(case)
    told = {"otlp": {"endpoint": receiver.endpoint}, "metrics": {"interval": "1s"}}
    settings = TelemetrySettings.model_validate(told)
    telemetry = Telemetry.prepare(settings, Identity(SERVICE), environ={}, store=folder / "store.db").start()
    made = spans(telemetry.tracer_provider.get_tracer(SCOPE), until)
    flowed = sum(request.path == "/v1/metrics" and request.answered == 200 for request in receiver.requests)
    receiver.content = True
    # those that asked for a long pause are not bothered at the end; the next start delivers
    assert telemetry.close()
    again = Telemetry.prepare(settings, Identity(SERVICE), environ={}, store=folder / "store.db").start()
    assert again.spool is not None
    dropped = sum(telemetry.spool.record()["signals"]["traces"]["dropped"].values()) if telemetry.spool else 0
    eventually(lambda: arrived(receiver, SERVICE).lost("s", range(made))[0] <= dropped)
    again.close()
    receiver.close()
    return figures(case, "spool", receiver, made), dropped, flowed


def plain(case: Case, until: float) -> Figures:
    receiver = Picky(case)
    provider = TracerProvider(resource=Resource({"service.name": SERVICE}), shutdown_on_exit=False)
    exporter = OTLPSpanExporter(f"{receiver.endpoint}/v1/traces", compression=Compression.Gzip)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=1000))
    made = spans(provider.get_tracer(SCOPE), until)
    receiver.content = True
    provider.shutdown()
    receiver.close()
    return figures(case, "plain", receiver, made)


def figures(case: Case, way: str, receiver: Picky, made: int) -> Figures:
    came = arrived(receiver, SERVICE)
    lost, _ = came.lost("s", range(made))
    if case.fault == "partial_success":  # the receiver counts such a request as arrived, and threw one item away
        lost = receiver.judged
    return Figures(way, made, lost, 0, 0, came.duplicates, 0.0, row="R4", fault=case.fault)


class Lines(logging.Handler):
    """What the spools say of traces."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if (line := record.getMessage()).startswith("export of traces: "):
            self.said.append(line)


@pytest.fixture(scope="module")
def lines() -> Iterator[list[str]]:
    handler, logger = Lines(), logging.getLogger("otelhealth.spool")
    logger.addHandler(handler)
    yield handler.said
    logger.removeHandler(handler)


@pytest.fixture(scope="module")
def runs(lines: list[str], tmp_path_factory: pytest.TempPathFactory, outage: float) -> Mapping[str, Ran]:
    """All cases at once, in the spool and with the plain exporter."""
    assert lines == []
    until = time.monotonic() + outage
    with ThreadPoolExecutor(2 * len(CASES)) as pool:
        ours = {
            name: pool.submit(spooled, case, tmp_path_factory.mktemp("spool"), until) for name, case in CASES.items()
        }
        theirs = {name: pool.submit(plain, case, until) for name, case in CASES.items()}
        found = {}
        for name, run in ours.items():
            figures, dropped, flowed = run.result()
            found[name] = Ran(figures, theirs[name].result(), dropped, flowed)
    return found


@pytest.mark.parametrize("name", CASES)
def test_traces_are_delivered_or_counted_and_said_once_while_metrics_flow_on(
    runs: Mapping[str, Ran], lines: list[str], row: Put, outage: float, name: str
) -> None:
    ran, case = runs[name], CASES[name]
    row(ran.spool)
    row(ran.plain)
    assert ran.spool.lost == ran.dropped
    assert (ran.dropped > 0) == case.dropped
    assert ran.flowed == 0 if "/v1/metrics" in case.paths else ran.flowed >= outage / 2
    if case.said:
        alike = [other for other in CASES.values() if other.said == case.said]
        assert sum(case.said in line for line in lines) == len(alike)
    assert ran.plain.lost > 0
