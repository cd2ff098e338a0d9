"""What Prometheus shows of an agent that is started anew, and of one whose checks change."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.pipeline.watching import Series, Watch, decided, settings
from tests.stack.loopback import until
from tests.stack.queries import PrometheusApi, Sample
from tests.stack.servers import Stack

CHECKS: dict[str, Any] = {kind: {"kind": kind} for kind in ("load", "memory", "fds")}
MEMORY, FDS, LOAD = (f'{{job="reloaded", otelhealth_check_name="{name}"}}' for name in ("memory", "fds", "load"))
LASTING = "otelhealth_check_status|otelhealth_check_duration_seconds_.*|otelhealth_service_.*|system_.*|process_.*"


@contextmanager
def agent(line: Stack, folder: Path, service: str) -> Iterator[tuple[Watch, dict[str, Any]]]:
    config = settings(line.collector.otlp_url, CHECKS, service)
    with Watch(folder, config) as running:
        until(lambda: decided(running), "state of every check")
        yield running, config


def series(api: PrometheusApi, service: str) -> set[Series]:
    found = api.query(f'last_over_time({{job="{service}", __name__=~"{LASTING}"}}[10m])')
    return {frozenset(sample.labels.items()) for sample in found}


def last_run(api: PrometheusApi, service: str, check: str) -> float:
    """Unix time of the last run that Prometheus knows; 0 where it knows none."""
    selector = f'{{job="{service}", otelhealth_check_name="{check}"}}'
    found = api.query(f"otelhealth_check_last_run_time_seconds{selector}")
    return found[0].value if found else 0.0


def ran_since(api: PrometheusApi, service: str, check: str, moment: float) -> bool:
    return last_run(api, service, check) > moment


def recent(api: PrometheusApi, selector: str) -> list[Sample]:
    """What has a sample in the last three seconds: a query's usual look back of five minutes would hide an end."""
    return api.query(f"last_over_time({selector}[3s])")


def test_an_agent_that_is_started_anew_goes_on_with_the_same_series(line: Stack, tmp_path: Path) -> None:
    api = line.prometheus.api
    with agent(line, tmp_path, "restarted") as (running, _):
        until(lambda: all(ran_since(api, "restarted", check, 0) for check in CHECKS), "every check in Prometheus")
        until(lambda: api.query('process_memory_usage_bytes{job="restarted"}'), "the agent's own figures")
        running.stop()
        before, moment = series(api, "restarted"), time.time()
        running.start()
        until(lambda: all(ran_since(api, "restarted", check, moment) for check in CHECKS), "runs after the start")
        assert len({dict(each)["instance"] for each in before}) == 1
        assert series(api, "restarted") == before


def test_a_check_that_is_removed_stops_in_prometheus_while_the_others_go_on(line: Stack, tmp_path: Path) -> None:
    api = line.prometheus.api
    with agent(line, tmp_path, "reloaded") as (running, config):
        until(lambda: all(ran_since(api, "reloaded", check, 0) for check in CHECKS), "every check in Prometheus")
        added = {"load": CHECKS["load"], "cpu": {"kind": "cpu"}}
        running.reload(config | {"checks": added})
        until(lambda: set(running.report()["checks"]) == {"load", "cpu"}, "the new checks")
        until(lambda: ran_since(api, "reloaded", "cpu", 0), "the new check in Prometheus")
        assert "system_memory" not in running.metrics()
        until(lambda: not api.query(MEMORY) and not api.query(FDS), "end of the removed checks' series")
        until(lambda: recent(api, LOAD), "a further run of a check that stays")
        accepted = 'otelhealth_config_reloads_total{job="reloaded", otelhealth_outcome="accepted"}'
        until(lambda: api.query(accepted), "accepted reload in Prometheus")


def test_a_bad_file_is_counted_and_the_old_checks_go_on(line: Stack, tmp_path: Path) -> None:
    api = line.prometheus.api
    with agent(line, tmp_path, "refused") as (running, config):
        running.reload(config | {"checks": {"load": {"kind": "lod"}}})
        counted = 'otelhealth_config_reloads_total{job="refused", otelhealth_outcome="refused"}'
        until(lambda: api.query(counted), "refused reload in Prometheus")
        moment = time.time()
        until(lambda: ran_since(api, "refused", "memory", moment), "further run of an old check")
