"""The whole way of a fleet: agents, edge Collectors, Kafka, gateways, Jaeger and Prometheus."""

from __future__ import annotations

import os
import re
import secrets
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.watching import Watch, settings
from tests.stack import otlp
from tests.stack.fleet import Gateway
from tests.stack.loopback import fetch, free_ports, until
from tests.stack.queries import Span
from tests.stack.servers import Collector
from tests.tail.line import SOONER, End, Line, line

ERROR = 2
CLIENT = 3


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    with line(tmp_path_factory.mktemp("fleet")) as running:
        yield running


# -- an agent --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def failing(fleet: Line, tmp_path_factory: pytest.TempPathFactory) -> list[Span]:
    """A trace of its check that fails, root first. It has stopped meanwhile, so that nothing but a test's own telemetry
    is on its way."""
    nobody = {"kind": "tcp", "host": "127.0.0.1", "port": free_ports(("any",))["any"]}
    config = settings(fleet.edges[0].otlp_url, {"nobody": nobody, "load": {"kind": "load"}}, "watched")
    with Watch(tmp_path_factory.mktemp("agent"), config):
        return until(lambda: agents_trace(fleet.sampled, "nobody"), "trace of the failing check")


def agents_trace(end: End, check: str) -> list[Span]:
    now = time.time()
    for spans in end.jaeger.api.search("watched", now - 300, now).values():
        ordered = sorted(spans, key=lambda span: span.parent_id != "")
        if ordered[0].name == f"check {check}":
            return ordered
    return []


def test_a_failing_check_is_a_whole_trace_in_jaeger(failing: list[Span]) -> None:
    assert [span.parent_id for span in failing] == ["", failing[0].span_id]
    assert [span.kind for span in failing] == [1, CLIENT]
    assert {span.status for span in failing} == {ERROR}


@pytest.mark.parametrize("name", ["whole", "sampled"])
def test_its_state_is_one_series_in_prometheus_with_the_agents_own_instance(
    fleet: Line, failing: list[Span], name: str
) -> None:
    api = getattr(fleet, name).prometheus.api
    state = 'otelhealth_check_status{otelhealth_check_name="nobody", otelhealth_check_state="fail"}'
    [sample] = until(lambda: [found for found in api.query(state) if found.value == 1], "failed check in Prometheus")
    identity = failing[0].resource["service.name"], failing[0].resource["service.instance.id"]
    assert (sample.labels["job"], sample.labels["instance"]) == identity
    assert [found.value for found in api.query('count(target_info{job="watched"})')] == [1]


@pytest.mark.parametrize("name", ["whole", "sampled"])
def test_its_event_is_in_the_file_of_one_gateway(fleet: Line, failing: list[Span], name: str) -> None:
    gateways = getattr(fleet, name).gateways
    event = until(lambda: [found for gateway in gateways for found in changes(gateway)], "event in a file")[0]
    assert event == failing[0].resource["service.instance.id"]


def changes(gateway: Collector) -> list[str]:
    """The agents that told of a changed state."""
    records = [record for record in gateway.logs() if record.event == "otelhealth.check.state_change"]
    return [r.resource["service.instance.id"] for r in records if r.resource["service.name"] == "watched"]


def test_span_metrics_are_those_of_the_agent_and_name_their_gateway(fleet: Line, failing: list[Span]) -> None:
    api = fleet.sampled.prometheus.api
    calls = 'traces_span_metrics_calls_total{job="watched", span_name="check nobody"}'
    found = until(lambda: api.query(calls), "span metrics")
    gateways = {gateway.folder.name for gateway in fleet.sampled.gateways}
    assert {sample.labels["collector_instance_id"] for sample in found} <= gateways
    assert {sample.labels["instance"] for sample in found} == {failing[0].resource["service.instance.id"]}
    assert {sample.labels["status_code"] for sample in found} == {"STATUS_CODE_ERROR"}
    assert {frozenset(sample.labels) - {"__name__", "job", "instance"} for sample in found} == {
        frozenset(
            {
                *("collector_instance_id", "deployment_environment_name", "host_name"),
                *("service_name", "span_kind", "span_name", "status_code"),
            }
        )
    }


def test_an_exemplar_of_the_span_metrics_names_a_trace_in_jaeger_where_every_trace_is_kept(
    fleet: Line, failing: list[Span]
) -> None:
    now = time.time()
    bucket = 'traces_span_metrics_duration_seconds_bucket{job="watched"}'
    api = fleet.whole.prometheus.api
    [found, *_] = until(lambda: api.exemplars(bucket, now - 300, now + 60), "exemplar")
    spans = until(lambda: fleet.whole.jaeger.api.trace(found.labels["trace_id"]), "trace of the exemplar")
    assert spans[0].resource["service.instance.id"] == failing[0].resource["service.instance.id"]
    assert fleet.sampled.prometheus.api.exemplars(bucket, now - 300, now + 60) == []


# -- sampling --------------------------------------------------------------------------------------------------------


def send(edge: Collector, service: str, *spans: dict[str, Any]) -> None:
    resource = {"attributes": otlp.pairs({"service.name": service, "service.instance.id": f"{service}-1"})}
    scope = {"scope": {"name": "test"}, "spans": list(spans)}
    body = {"resourceSpans": [{"resource": resource, "scopeSpans": [scope]}]}
    assert otlp.post(f"{edge.otlp_url}/v1/traces", body) == 200


def span(trace_id: str, span_id: str, parent: str = "", *, status: int = 0, **attributes: str) -> dict[str, Any]:
    now = time.time()
    return {
        "traceId": trace_id,
        "spanId": span_id,
        "parentSpanId": parent,
        "name": "child" if parent else "root",
        "kind": 1,
        "startTimeUnixNano": otlp.nanos(now - 0.1),
        "endTimeUnixNano": otlp.nanos(now),
        "status": {"code": status} if status else {},
        "attributes": otlp.pairs({key.replace("__", "."): value for key, value in attributes.items()}),
    }


def fresh(number: int) -> list[tuple[str, str, str]]:
    """Ids of traces, their roots and their children."""
    return [(secrets.token_hex(16), secrets.token_hex(8), secrets.token_hex(8)) for _ in range(number)]


def sizes(end: End, service: str, traces: list[tuple[str, str, str]]) -> list[int]:
    """How many spans of each are in Jaeger."""
    now = time.time()
    found = end.jaeger.api.search(service, now - 300, now + 60, limit=1000)
    return [len(found.get(trace_id, [])) for trace_id, _, _ in traces]


def idle(gateway: Collector) -> bool:
    """Whether no trace waits in it, neither for its judgement nor for Jaeger."""
    text = fetch(f"http://{gateway.address('metrics')}/metrics").decode()
    waiting = "otelcol_(processor_tail_sampling_sampling_traces_on_memory|exporter_queue_size)"
    found = re.findall(rf"^{waiting}{{.*}} (.*)$", text, re.MULTILINE)
    assert len(found) > 1, text
    return not any(float(value) for _, value in found)


def test_a_trace_whose_spans_come_over_two_edges_is_judged_as_one_whichever_gateway_has_it(fleet: Line) -> None:
    traces = fresh(24)
    first, second = fleet.edges
    for trace_id, root, child in traces:
        send(first, "spread", span(trace_id, child, root))
    for trace_id, root, _ in traces:
        send(second, "spread", span(trace_id, root, status=ERROR))
    until(lambda: sizes(fleet.sampled, "spread", traces) == [2] * len(traces), "both spans of every failed trace")
    calls = 'traces_span_metrics_calls_total{job="spread", span_name="root"}'

    def counts() -> dict[str, float]:
        found = fleet.sampled.prometheus.api.query(calls)
        return {sample.labels["collector_instance_id"]: sample.value for sample in found}

    seen = until(lambda: counts() if sum(counts().values()) == len(traces) else None, "span metrics of every root")
    assert seen
    assert set(seen) == {"sampled-1", "sampled-2"}


def test_of_what_passes_a_share_is_kept_and_whole_but_every_check_that_warns(fleet: Line) -> None:
    passing, warning = fresh(200), fresh(10)
    edge = fleet.edges[0]
    for trace_id, root, child in passing:
        send(edge, "passing", span(trace_id, child, root), span(trace_id, root, otelhealth__check__result="pass"))
    for trace_id, root, child in warning:
        send(edge, "passing", span(trace_id, child, root), span(trace_id, root, otelhealth__check__result="warn"))
    until(lambda: sizes(fleet.sampled, "passing", warning) == [2] * len(warning), "every check that warns")
    until(lambda: all(map(idle, fleet.sampled.gateways)), "judgement of every trace")
    kept = sizes(fleet.sampled, "passing", passing)
    assert set(kept) == {0, 2}
    assert 4 <= kept.count(2) <= 44  # of 200 at 10 %: six sigma
    assert sizes(fleet.whole, "passing", passing) == [2] * len(passing)
    # An error that comes after its trace was left out is kept, alone; but each gateway knows the last one it left out.
    left_out = [trace for trace, size in zip(passing, kept, strict=True) if size == 0][:10]
    for trace_id, root, _ in left_out:
        send(edge, "passing", span(trace_id, secrets.token_hex(8), root, status=ERROR))
    until(lambda: sizes(fleet.sampled, "passing", left_out).count(1) >= 8, "the late errors")


# -- limits ----------------------------------------------------------------------------------------------------------


def test_two_megabytes_of_points_in_one_request_pass(fleet: Line) -> None:
    now = time.time()
    padding = "x" * 100
    points = [
        {"timeUnixNano": otlp.nanos(now), "asDouble": n, "attributes": otlp.pairs({"n": f"{n} {padding}"})}
        for n in range(15_000)
    ]
    metric = {"name": "large.test", "gauge": {"dataPoints": points}}
    assert otlp.send_metrics(fleet.edges[0].otlp_url, metric) == 200
    count = "count(large_test)"
    api = fleet.whole.prometheus.api
    until(lambda: [sample.value for sample in api.query(count)] == [15_000], "every point")


def test_a_span_of_three_megabytes_passes(fleet: Line) -> None:
    [trace] = fresh(1)
    send(fleet.edges[0], "large", span(trace[0], trace[1], stack=secrets.token_hex(1_500_000)))
    until(lambda: sizes(fleet.whole, "large", [trace]) == [1], "the span")


def test_a_gateway_stops_in_order_even_when_nothing_stands_behind_it(fleet: Line, tmp_path: Path) -> None:
    (tmp_path / "sooner.yaml").write_text(SOONER)
    with Gateway(tmp_path / "lonely", fleet.kafka, configs=(str(tmp_path / "sooner.yaml"),)) as gateway:
        until(
            lambda: {"otlp_http/prometheus", "otlp_http/jaeger"} <= failing_exporters(gateway), "attempts that failed"
        )
        assert gateway.pid
        os.kill(gateway.pid, signal.SIGTERM)
        assert gateway.wait() == 0


def failing_exporters(gateway: Collector) -> set[str]:
    retried = [line for line in gateway.log.read_text().splitlines() if "Exporting failed. Will retry" in line]
    return {name for line in retried for name in re.findall(r'"otelcol.component.id": "(.*?)"', line)}
