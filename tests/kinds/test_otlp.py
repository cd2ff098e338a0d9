from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from otelhealth.clock import ManualClock
from otelhealth.errors import OtelHealthError
from otelhealth.kinds.otlp import OtlpCheck
from otelhealth.model import ExportPath, Status, Surroundings
from otelhealth.records import ExportRecord
from tests.kinds.loopback import Bench, http, read_request, serving
from tests.stack import otlp
from tests.stack.servers import stack


@dataclass
class Chain:
    """A Collector, Jaeger and Prometheus in one server: what has arrived is set by the test."""

    collector: bytes = field(default_factory=http)
    traces: set[str] = field(default_factory=set)
    last_run: float | None = None
    requests: list[bytes] = field(default_factory=list)
    port: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await read_request(reader)
        self.requests.append(request)
        writer.write(self.answer(request.split()[1].decode()))
        await writer.drain()

    def answer(self, target: str) -> bytes:
        if target == "/v1/traces":
            return self.collector
        if target.startswith("/api/v3/traces/"):
            found = target.rpartition("/")[2] in self.traces
            return http(b"{}") if found else http(status="404 Not Found")
        if target.startswith("/api/v1/query"):
            result = [] if self.last_run is None else [{"metric": {}, "value": [0, str(self.last_run)]}]
            return http(json.dumps({"status": "success", "data": {"result": result}}).encode())
        return http(status="200 OK" if target == "/healthy" else "503 Service Unavailable")

    def check(self, **fields: Any) -> OtlpCheck:
        base = f"http://127.0.0.1:{self.port}"
        named = {key: base if value is True else f"{base}{value}" for key, value in fields.items() if key != "within"}
        return OtlpCheck.model_validate({"name": "export", "within": "30s", "url": base, **named, **fields_of(fields)})


def fields_of(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key == "within"}


@asynccontextmanager
async def chain() -> AsyncIterator[Chain]:
    made = Chain()
    async with serving(made.handle) as made.port:
        yield made


def sent_traces(bench: Bench) -> list[str]:
    roots = [span for span in bench.exporter.get_finished_spans() if span.name == "check"]
    return [f"{span.context.trace_id:032x}" for span in roots if span.context is not None]


async def test_a_collector_that_takes_an_empty_export_passes() -> None:
    async with chain() as made:
        bench = Bench()
        result = await bench.probe(made.check())
    assert (result.status, result.message) == (Status.PASS, "the Collector takes OTLP")
    assert made.requests[0].startswith(b"POST /v1/traces HTTP/1.1")
    assert b"Content-Type: application/x-protobuf\r\n" in made.requests[0]
    assert b"Content-Length: 0\r\n" in made.requests[0]
    assert [one.name for one in result.measurements] == ["collector_duration"]


async def test_the_agents_own_export_path_is_the_default_with_its_headers() -> None:
    async with chain() as made:
        path = ExportPath(f"http://127.0.0.1:{made.port}", {"x-tenant": "secret"}, "http/protobuf")
        bench = Bench(around=Surroundings(path))
        result = await bench.probe(OtlpCheck(name="export"))
    assert result.status is Status.PASS
    assert b"x-tenant: secret\r\n" in made.requests[0]
    assert "secret" not in repr(result) + bench.span.to_json()


async def test_prometheus_is_asked_for_the_runs_of_this_agent_alone() -> None:
    async with chain() as made:
        path = ExportPath(f"http://127.0.0.1:{made.port}", {}, "http/protobuf", instance="0d1e")
        await Bench(around=Surroundings(path)).probe(made.check(prometheus=True))
    assert b"otelhealth_check_name%3D%22export%22%2Cinstance%3D%220d1e%22" in made.requests[-1]


async def test_without_any_endpoint_the_sentence_says_what_to_set() -> None:
    with pytest.raises(OtelHealthError, match=r"no OTLP endpoint is set; set telemetry\.otlp\.endpoint or `url`"):
        await Bench().probe(OtlpCheck(name="export"))


async def test_a_grpc_endpoint_is_connected_to() -> None:
    async with chain() as made:
        path = ExportPath(f"127.0.0.1:{made.port}", {}, "grpc")
        result = await Bench(around=Surroundings(path)).probe(OtlpCheck(name="export"))
    assert result.message == "the Collector's gRPC port takes connections"
    refused = await Bench(around=Surroundings(path)).probe(OtlpCheck(name="export"))
    assert refused.error_type == "connection_refused"


@pytest.mark.parametrize(
    ("answer", "error_type"),
    [
        (http(status="503 Service Unavailable"), "503"),
        (http(status="302 Found", location="/login"), "302"),
        (http(status="401 Unauthorized"), "401"),
        (b"", "connection_closed"),
    ],
)
async def test_a_collector_that_does_not_take_the_export_fails_on_that_link(answer: bytes, error_type: str) -> None:
    async with chain() as made:
        made.collector = answer
        result = await Bench().probe(made.check(health="/healthy"))
    assert (result.status, result.error_type) == (Status.FAIL, error_type)
    assert result.message.startswith("agent -> Collector: ")
    assert result.details["working"] == ["it is healthy"]


async def test_an_ill_collector_is_named() -> None:
    async with chain() as made:
        result = await Bench().probe(made.check(health="/ill"))
    assert result.message.startswith("Collector's health: ")
    assert result.error_type == "503"


async def test_the_first_run_sends_a_canary_and_the_next_finds_it() -> None:
    clock = ManualClock()
    async with chain() as made:
        bench = Bench(clock=clock)
        check = made.check(jaeger=True, prometheus=True)
        first = await bench.probe(check)
        assert first.message.endswith("first canary sent to Jaeger; first canary sent to Prometheus")
        made.traces.update(sent_traces(bench))
        made.last_run = clock.time()
        clock.advance(30)
        second = await bench.probe(check)
    assert second.status is Status.PASS
    assert second.message.endswith("the trace of 30s ago is in Jaeger; the run of 30s ago is in Prometheus")
    assert {one.name: one.value for one in second.measurements}["trace_age"] == 30
    asked = made.requests[-1].split()[1].decode()
    assert "otelhealth_check_last_run_time_seconds%7Botelhealth_check_name%3D%22export%22%7D" in asked


async def test_a_canary_has_its_time_before_it_counts_as_lost() -> None:
    clock = ManualClock()
    async with chain() as made:
        bench = Bench(clock=clock)
        check = made.check(jaeger=True)
        await bench.probe(check)
        clock.advance(10)
        early = await bench.probe(check)
        assert early.status is Status.PASS
        assert early.message.endswith("the trace of 10s ago is not in Jaeger yet")
        clock.advance(25)
        late = await bench.probe(check)
        assert (late.status, late.error_type) == (Status.FAIL, "trace_missing")
        assert late.message == "Collector -> Jaeger: the trace of 35s ago is not in Jaeger"
        made.traces.update(sent_traces(bench))
        clock.advance(10)
        healed = await bench.probe(check)
    assert healed.status is Status.PASS


async def test_a_metric_that_stands_still_is_a_broken_link() -> None:
    clock = ManualClock()
    async with chain() as made:
        bench = Bench(clock=clock)
        check = made.check(prometheus=True)
        await bench.probe(check)
        made.last_run = clock.time()
        clock.advance(20)
        assert (await bench.probe(check)).status is Status.PASS
        clock.advance(40)
        result = await bench.probe(check)
    assert (result.status, result.error_type) == (Status.FAIL, "metric_missing")
    assert result.message == "Collector -> Prometheus: the metric of 40s ago is not in Prometheus"


async def test_a_store_that_is_down_is_named_beside_what_works() -> None:
    async with serving(Chain().handle) as dead:
        pass
    async with chain() as made:
        fields = {"name": "export", "url": f"http://127.0.0.1:{made.port}", "prometheus": f"http://127.0.0.1:{dead}"}
        result = await Bench().probe(OtlpCheck.model_validate(fields))
    assert result.error_type == "connection_refused"
    assert result.message == f"Collector -> Prometheus: 127.0.0.1:{dead} refused the connection"
    assert result.details == {"working": ["the Collector takes OTLP"]}


async def test_a_real_collector_jaeger_and_prometheus_pass_on_what_was_sent(tmp_path: Path) -> None:
    with stack(tmp_path) as line:
        bench = Bench()
        bench.provider.add_span_processor(
            SimpleSpanProcessor(OTLPSpanExporter(endpoint=f"{line.collector.otlp_url}/v1/traces"))
        )
        where = {
            "url": line.collector.otlp_url,
            "health": line.collector.health_url,
            "jaeger": line.jaeger.url,
            "prometheus": line.prometheus.url,
        }
        check = OtlpCheck.model_validate({"name": "api", "within": "60s", **where})
        first = await bench.probe(check)
        assert first.status is Status.PASS, first.message
        otlp.send_metrics(
            line.collector.otlp_url, otlp.gauge("otelhealth.check.last_run.time", "s", time.time(), time.time())
        )
        seen: set[str] = set()
        for _ in range(100):
            later = await bench.probe(check)
            assert later.status is Status.PASS, later.message
            seen |= {one.name for one in later.measurements}
            if seen >= {"trace_age", "metric_age"}:
                break
            await asyncio.sleep(0.2)
        assert seen >= {"trace_age", "metric_age"}
        astray = await Bench().probe(OtlpCheck.model_validate({"name": "astray", "url": line.jaeger.url}))
        assert (astray.status, astray.error_type) == (Status.FAIL, "unexpected_answer")
        assert "answered with a page: no OTLP receiver is there" in astray.message
        line.collector.stop()
        broken = await Bench().probe(check)  # whose spans nobody waits for
    assert broken.message.startswith("agent -> Collector: ")
    assert broken.error_type == "connection_refused"


def spooled(status: str = "delivering", error: str | None = None, problem: str | None = None) -> ExportRecord:
    traces: Any = {"status": status, "waiting": 3, "oldest_seconds": 12.5, "error_type": "401", "error": error}
    return ExportRecord(path="/spool.db", problem=problem, usage_bytes=1, limit_bytes=2, signals={"traces": traces})


@pytest.mark.parametrize(
    ("record", "error_type", "sentence"),
    [
        (spooled(), None, "the Collector takes OTLP; requests waiting: 3"),
        (
            spooled("held", "the receiver answered 401; check the credentials"),
            "401",
            "agent's spool: traces: the receiver answered 401; check the credentials",
        ),
        (spooled(problem="disk full"), "disk_error", "agent's spool: its disk cannot be used: disk full"),
    ],
    ids=["delivers", "is held", "has no disk"],
)
async def test_a_signal_that_is_held_fails_though_the_collector_takes_an_empty_export(
    record: ExportRecord, error_type: str | None, sentence: str
) -> None:
    async with chain() as made:
        path = ExportPath(f"http://127.0.0.1:{made.port}", {}, "http/protobuf")
        result = await Bench(around=Surroundings(path, lambda: record)).probe(OtlpCheck(name="export"))
    assert (result.error_type, result.message) == (error_type, sentence)
    assert [(one.name, one.value) for one in result.measurements][1:] == [("spool_age", 12.5)]
