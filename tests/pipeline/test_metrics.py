"""What Prometheus holds of a running agent, whose exemplars lead to Jaeger."""

from __future__ import annotations

from prometheus_client.openmetrics.parser import text_string_to_metric_families as families_in

from tests.pipeline.watching import OF_THE_RESOURCE, Names, Watched, instance_of, names_of
from tests.stack.loopback import fetch, until
from tests.stack.programs import Agent

DURATION = "otelhealth_check_duration_seconds"
BOUNDS = {"0.001", "0.005", "0.01", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "+Inf"}


def test_the_state_of_a_check_is_one_series_per_state_with_the_right_labels(watched: Watched) -> None:
    name = 'otelhealth_check_status{otelhealth_check_name="checkout"}'
    until(lambda: watched.value(f'{name[:-1]}, otelhealth_check_state="fail"}}') == 1, "failed check in Prometheus")
    found = watched.line.prometheus.api.query(name)
    states = {sample.labels["otelhealth_check_state"]: sample.value for sample in found}
    assert states == {"pass": 0, "warn": 0, "fail": 1, "unknown": 0}
    [instance] = {sample.labels["instance"] for sample in found}
    assert dict(found[0].labels) | {"otelhealth_check_state": "", "host_name": ""} == {
        "__name__": "otelhealth_check_status",
        "job": "shop",
        "instance": instance,
        "deployment_environment_name": "test",
        "host_name": "",
        "otelhealth_check_name": "checkout",
        "otelhealth_check_kind": "http",
        "otelhealth_check_state": "",
    }


def test_the_duration_is_a_histogram_in_seconds_with_the_advised_bounds(watched: Watched) -> None:
    selector = '{otelhealth_check_name="checkout"}'
    before = until(lambda: watched.value(f"{DURATION}_count{selector}"), "duration in Prometheus") or 0
    assert {
        sample.labels["le"] for sample in watched.line.prometheus.api.query(f"{DURATION}_bucket{selector}")
    } == BOUNDS
    until(lambda: (watched.value(f"{DURATION}_count{selector}") or 0) > before, "further run in Prometheus")
    [labels] = watched.series(f"{DURATION}_count{selector}")
    own = {key: value for key, value in labels if key not in OF_THE_RESOURCE}
    assert own == {
        "__name__": f"{DURATION}_count",
        "otelhealth_check_name": "checkout",
        "otelhealth_check_kind": "http",
        "otelhealth_check_result": "fail",
        "error_type": "503",
    }


def test_the_hosts_figures_have_the_names_units_and_labels_of_the_conventions(watched: Watched) -> None:
    wanted = {
        "system_cpu_utilization_ratio": set(),
        "system_cpu_time_seconds_total": {"cpu_mode"},
        "system_cpu_logical_count": set(),
        "system_memory_utilization_ratio": set(),
        "system_memory_usage_bytes": {"system_memory_state"},
        "system_memory_limit_bytes": set(),
        "system_filesystem_utilization_ratio": {"system_filesystem_mountpoint"},
        "system_filesystem_usage_bytes": {"system_filesystem_mountpoint", "system_filesystem_state"},
        "system_network_io_bytes_total": {"network_interface_name", "network_io_direction"},
        "system_network_connection_count": {"network_connection_state"},
        "otelhealth_system_load": {"otelhealth_system_load_period"},
        "process_memory_usage_bytes": set(),
    }
    until(lambda: wanted.keys() <= set(watched.line.prometheus.api.names()), "figures of the host in Prometheus")
    mine = f'instance="{instance_of(watched)}"'
    for name, labels in wanted.items():
        seen = set().union(*(dict(series) for series in watched.series(f"{name}{{{mine}}}")))
        assert seen - OF_THE_RESOURCE - {"__name__"} == labels, name
    assert 0 < (watched.value(f"system_memory_utilization_ratio{{{mine}}}") or 0) < 1


def test_an_exemplar_names_a_trace_of_the_same_check_in_jaeger(watched: Watched) -> None:
    selector = f'{DURATION}_bucket{{otelhealth_check_name="checkout"}}'
    exemplar = until(lambda: watched.exemplars(selector), "exemplar in Prometheus")[-1]
    spans = until(lambda: watched.line.jaeger.api.trace(exemplar.labels["trace_id"]), "trace of the exemplar")
    assert (spans[0].name, spans[0].span_id) == ("check checkout", exemplar.labels["span_id"])
    assert 0 < exemplar.value < spans[0].end - spans[0].start + 0.01


def test_metrics_of_the_agent_itself_carry_the_names_and_labels_of_the_collectors_way(watched: Watched) -> None:
    """The known differences: job, instance and the promoted resource attributes are Prometheus' own work, and on
    `/metrics` all of the resource stands on target_info."""
    instance = instance_of(watched)
    mine = f'{{instance="{instance}", __name__!~"target_info"}}'
    until(lambda: same(own_series(watched.agent), names_of(watched, mine)), "the same names on both ways")
    bucket = (f"{DURATION}_bucket", frozenset({"le", "otelhealth_check_name"} | LABELS_OF_DURATION))
    assert bucket in names_of(watched, mine)


LABELS_OF_DURATION = {"otelhealth_check_kind", "otelhealth_check_result", "error_type"}


def same(fetched: Names, sent: Names) -> bool:
    """Not while one of them is still behind; the difference is shown if it stays."""
    if fetched != sent:
        print(f"only on /metrics: {sorted(map(str, fetched - sent))}; only sent: {sorted(map(str, sent - fetched))}")
    return fetched == sent


def own_series(agent: Agent) -> Names:
    """Of `/metrics` as OpenMetrics: names and label keys."""
    text = fetch(f"{agent.url}/metrics", headers={"accept": "application/openmetrics-text"}).decode()
    families = families_in(text)  # type: ignore[no-untyped-call]  # the library has no types
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, frozenset(sample.labels)) for sample in samples if sample.name != "target_info"}
