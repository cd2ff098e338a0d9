"""The shipped configurations in the real programs: what goes in at the Collector is found at the ends."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stack import otlp
from tests.stack.loopback import until
from tests.stack.places import BIN
from tests.stack.queries import Exemplar, PrometheusApi
from tests.stack.servers import CONFIGS, Collector, Jaeger, Prometheus, Stack, scrape_stack, stack

DURATION = "otelhealth_check_duration_seconds_bucket"
CHECKED = (
    ["otelcol", "validate", "--config=agent.yaml"],
    ["otelcol", "validate", "--config=agent.yaml", "--config=scrape.yaml"],
    ["otelcol", "validate", "--config=edge.yaml"],
    ["otelcol", "validate", "--config=gateway.yaml"],
    ["otelcol", "validate", "--config=gateway.yaml", "--config=unsampled.yaml"],
    ["jaeger", "validate", "--config=jaeger.yaml"],
    ["promtool", "check", "config", "prometheus.yml"],
    ["promtool", "check", "config", "prometheus-scrape.yml"],
)
KEPT_LABELS = {"job": "shop", "instance": "shop-1", "deployment_environment_name": "test", "host_name": "here"}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with stack(tmp_path_factory.mktemp("stack")) as running:
        yield running


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with scrape_stack(tmp_path_factory.mktemp("scrape")) as running:
        yield running


@pytest.mark.parametrize("command", CHECKED, ids=" ".join)
def test_a_shipped_configuration_is_accepted_without_a_warning(command: list[str]) -> None:
    done = subprocess.run([BIN / command[0], *command[1:]], cwd=CONFIGS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "warn" not in done.stdout + done.stderr


def test_every_shipped_file_is_checked() -> None:
    checked = {word.removeprefix("--config=") for command in CHECKED for word in command[2:]}
    assert {file.name for file in CONFIGS.iterdir()} <= checked


def test_a_span_is_found_in_jaeger_as_it_was_sent(line: Stack) -> None:
    now = time.time()
    trace_id = otlp.send_span(line.collector.otlp_url, now - 5)
    [span] = until(lambda: line.jaeger.api.trace(trace_id), "trace in Jaeger")
    assert (span.name, span.kind, span.status, span.message) == ("check api", 1, 2, "timeout")
    assert span.attributes == {"attempts": 2, "otelhealth.check.name": "api"}
    assert span.resource == otlp.RESOURCE
    assert (span.start, span.end) == pytest.approx((now - 5, now - 4), abs=0.001)
    assert trace_id in line.jaeger.api.search("shop", now - 60, now)
    assert "shop" in line.jaeger.api.services()


def test_what_jaeger_does_not_know_is_no_error(line: Stack) -> None:
    now = time.time()
    assert line.jaeger.api.trace("0" * 31 + "1") == []
    assert line.jaeger.api.search("nobody", now - 60, now) == {}


def test_jaeger_does_not_fill_itself_with_its_own_requests(line: Stack) -> None:
    otlp.send_span(line.collector.otlp_url, time.time())
    assert until(line.jaeger.api.services, "service in Jaeger") == ["shop"]


def test_a_log_event_is_in_the_file_with_its_name_and_trace(line: Stack) -> None:
    otlp.send_log(line.collector.otlp_url, time.time(), "api is failing", "ab" * 16)
    record = until(lambda: [found for found in line.collector.logs() if found.trace_id == "ab" * 16], "log record")[0]
    assert (record.event, record.severity, record.body) == ("otelhealth.check.state_change", 17, "api is failing")
    assert record.attributes == {"otelhealth.check.name": "api"}
    assert record.resource == otlp.RESOURCE


def test_log_events_are_kept_over_a_restart_of_the_collector(line: Stack) -> None:
    wanted = {"before the stop", "after the start"}
    otlp.send_log(line.collector.otlp_url, time.time(), "before the stop", "cd" * 16)
    line.collector.stop()
    line.collector.start()
    otlp.send_log(line.collector.otlp_url, time.time(), "after the start", "cd" * 16)
    until(lambda: wanted <= {str(record.body) for record in line.collector.logs()}, "both events in the file")


def test_metrics_keep_their_time_and_carry_job_instance_and_the_promoted_labels(line: Stack) -> None:
    moment = time.time() - 30
    otlp.send_metrics(line.collector.otlp_url, otlp.gauge("otelhealth.service.score", "1", moment, 0.75))
    api = line.prometheus.api
    [sample] = until(lambda: api.query("otelhealth_service_score_ratio[5m]"), "gauge in Prometheus")
    assert sample.value == 0.75
    assert sample.time == pytest.approx(moment, abs=0.001)
    wanted = {"__name__": "otelhealth_service_score_ratio", "otelhealth_check_name": "api"} | KEPT_LABELS
    assert sample.labels == wanted


def test_an_exemplar_in_prometheus_names_a_trace_in_jaeger(line: Stack) -> None:
    sent, found = send_duration(line), exemplar_of(line.prometheus.api)
    assert found.labels["trace_id"] == sent
    assert until(lambda: line.jaeger.api.trace(found.labels["trace_id"]), "trace of the exemplar")


def test_the_collectors_own_figures_are_in_prometheus(line: Stack) -> None:
    api = line.prometheus.api
    samples = until(lambda: api.query('otelcol_exporter_queue_capacity{job="otelcol"}'), "figures of the Collector")
    assert {sample.labels["exporter"] for sample in samples} == {"otlp_http/jaeger", "otlp_http/prometheus"}


def test_the_scraped_line_gives_the_same_names_and_labels(line: Stack, scraped: Stack) -> None:
    pushed, fetched = series_of(line), series_of(scraped)
    assert pushed == fetched
    assert {dict(labels)["__name__"] for labels in pushed} >= {DURATION, "system_memory_usage_bytes"}


def series_of(line: Stack) -> set[frozenset[tuple[str, str]]]:
    send_duration(line)
    api = line.prometheus.api
    exemplar_of(api)
    names = {"otelhealth_check_status", "otelhealth_check_state_transitions_total", "system_cpu_utilization_ratio"}
    until(lambda: names <= set(api.names()), "metrics in Prometheus")
    found = api.query('{job="shop", __name__=~"otelhealth_check_.*|system_.*"}')
    return {frozenset(sample.labels.items()) for sample in found}


def send_duration(line: Stack) -> str:
    now = time.time()
    url = line.collector.otlp_url
    trace_id = otlp.send_span(url, now - 1)
    status = otlp.send_metrics(
        url,
        otlp.histogram("otelhealth.check.duration", now, trace_id),
        otlp.total("otelhealth.check.status", "1", now, 1, monotonic=False),
        otlp.total("otelhealth.check.state.transitions", "{transition}", now, 1, monotonic=True),
        otlp.total("system.memory.usage", "By", now, 1000, monotonic=False),
        otlp.gauge("system.cpu.utilization", "1", now, 0.25),
    )
    assert status == 200
    return trace_id


def exemplar_of(api: PrometheusApi) -> Exemplar:
    now = time.time()
    return until(lambda: api.exemplars(DURATION, now - 60, now + 60), "exemplar in Prometheus")[-1]


def test_a_sample_that_prometheus_refuses_costs_only_its_own_request(line: Stack) -> None:
    now = time.time()
    too_late = otlp.gauge("refused.test", "1", now - 7 * 86400, 1)
    otlp.send_metrics(line.collector.otlp_url, too_late)
    otlp.send_metrics(line.collector.otlp_url, otlp.gauge("taken.test", "1", now, 1))
    assert until(lambda: line.prometheus.api.query("taken_test_ratio"), "the good sample")
    assert line.prometheus.api.query("refused_test_ratio[10d]") == []


def test_a_sender_of_deltas_is_taken_too(line: Stack) -> None:
    now = time.time()
    for second in (2, 1, 0):
        counter = otlp.total("delta.test", "1", now - second, 5, monotonic=True)
        otlp.send_metrics(line.collector.otlp_url, otlp.as_delta(counter))
    api = line.prometheus.api
    until(lambda: [sample for sample in api.query("delta_test_total") if sample.value == 15], "the sum of the deltas")


def test_what_the_collector_took_before_a_crash_is_delivered_after_it(tmp_path: Path) -> None:
    with Jaeger(tmp_path / "jaeger") as jaeger, Prometheus(tmp_path / "prometheus") as prometheus:
        collector = Collector(tmp_path / "c", jaeger_url=jaeger.otlp_url, prometheus_url=prometheus.otlp_url)
        with collector:
            jaeger.kill()
            prometheus.kill()
            now = time.time()
            traces = [otlp.send_span(collector.otlp_url, now) for _ in range(50)]
            for age in range(50):
                point = otlp.gauge("queue.test", "1", now - age, age)
                assert otlp.send_metrics(collector.otlp_url, point) == 200
            collector.kill()
            jaeger.start()
            prometheus.start()
            collector.start()
            until(lambda: all(map(jaeger.api.trace, traces)), "every trace in Jaeger")
            seen = until(lambda: samples_of(prometheus, "queue_test_ratio", 50), "every sample in Prometheus")
            assert sorted(seen) == list(range(50))


def test_an_outage_of_prometheus_leaves_no_hole(line: Stack) -> None:
    begin = time.time() - 40
    for second in range(40):
        if second == 10:
            line.prometheus.kill()
        if second == 30:
            until(lambda: "Exporting failed" in line.collector.tail(), "attempt of the Collector that failed")
            line.prometheus.start()
        point = otlp.gauge("hole.test", "1", begin + second, second)
        assert otlp.send_metrics(line.collector.otlp_url, point) == 200
    seen = until(lambda: samples_of(line.prometheus, "hole_test_ratio", 40), "every sample in Prometheus")
    assert sorted(seen) == list(range(40))


def samples_of(prometheus: Prometheus, name: str, count: int) -> list[float]:
    """Their values once all are there, else none."""
    values = [sample.value for sample in prometheus.api.query(f"{name}[10m]")]
    return values if len(values) >= count else []
