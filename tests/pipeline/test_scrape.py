"""The same over scrape.yaml, for a Prometheus that comes to fetch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.pipeline.watching import Names, Watch, Watched, changed, instance_of, names_of, settings, watching
from tests.stack.loopback import until
from tests.stack.servers import Collector, Jaeger, Prometheus, Stack, scrape_stack

SEEN_BY_EACH_SCRAPE = "1s"  # an exemplar is there from one export to the next, and Prometheus comes every second
DURATION = "otelhealth_check_duration_seconds"


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("scraped")
    with scrape_stack(folder) as line, watching(line, folder, SEEN_BY_EACH_SCRAPE) as running:
        yield running


def test_names_and_labels_are_those_of_the_pushed_line(watched: Watched, scraped: Watched) -> None:
    def same() -> Names | None:
        pushed, fetched = (
            names_of(each, f'{{instance="{instance_of(each)}", __name__!="target_info"}}')
            for each in (watched, scraped)
        )
        print(f"only fetched: {sorted(map(str, fetched - pushed))}; only pushed: {sorted(map(str, pushed - fetched))}")
        return pushed if pushed == fetched else None

    found = until(same, "the same names on both lines")
    assert found
    assert {"otelhealth_check_status", f"{DURATION}_bucket", "system_memory_usage_bytes"} <= {name for name, _ in found}


def test_the_agents_instance_is_that_of_its_telemetry_not_of_the_collector(scraped: Watched) -> None:
    root = until(lambda: scraped.traces("cpu"), "trace of cpu")[0][0]
    assert instance_of(scraped) == root.resource["service.instance.id"]


def test_a_failed_check_is_seen_by_its_state_an_exemplar_its_trace_and_its_event(scraped: Watched) -> None:
    state = 'otelhealth_check_status{job="shop", otelhealth_check_name="checkout", otelhealth_check_state="fail"}'
    until(lambda: scraped.value(state) == 1, "failed check in Prometheus")
    selector = f'{DURATION}_bucket{{otelhealth_check_name="checkout"}}'
    exemplar = until(lambda: scraped.exemplars(selector), "exemplar in Prometheus")[-1]
    spans = until(lambda: scraped.line.jaeger.api.trace(exemplar.labels["trace_id"]), "trace of the exemplar")
    assert spans[0].name == "check checkout"
    until(lambda: "checkout" in changed(scraped.line, "shop"), "event in the Collector's file")


@contextmanager
def forgetful(folder: Path) -> Iterator[Stack]:
    """A scraped line whose Collector forgets after two seconds instead of two minutes what is no longer sent."""
    overlay = folder / "forgetful.yaml"
    overlay.write_text("exporters: {prometheus: {metric_expiration: 2s}}\n")
    configs = ("agent.yaml", "scrape.yaml", str(overlay))
    with (
        Jaeger(folder / "jaeger") as jaeger,
        Prometheus(folder / "prometheus", "prometheus-scrape.yml") as prometheus,
        Collector(folder / "collector", jaeger_url=jaeger.otlp_url, configs=configs) as collector,
    ):
        prometheus.change({"127.0.0.1:9464": collector.address("scrape")})
        yield Stack(collector, jaeger, prometheus)


def test_a_removed_check_disappears_once_the_collector_has_forgotten_it(tmp_path: Path) -> None:
    with forgetful(tmp_path) as line:
        config = settings(line.collector.otlp_url, {"load": {"kind": "load"}, "memory": {"kind": "memory"}})
        with Watch(tmp_path / "agent", config) as agent:
            api = line.prometheus.api
            until(lambda: api.query("system_memory_usage_bytes"), "the check's series")
            agent.reload(config | {"checks": {"load": {"kind": "load"}}})
            until(lambda: not api.query('{job="shop", otelhealth_check_name="memory"}'), "end of the state")
            until(lambda: not api.query("system_memory_usage_bytes"), "end of the readings")
            stays = 'otelhealth_check_status{otelhealth_check_name="load"}'
            until(lambda: api.query(stays), "state of the check that stays")
