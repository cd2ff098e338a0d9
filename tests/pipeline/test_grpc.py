"""The same line over OTLP/gRPC, by one setting."""

from __future__ import annotations

import time
from pathlib import Path

from tests.pipeline.watching import Watch, changed, settings
from tests.stack.loopback import free_ports, until
from tests.stack.servers import Stack


def test_traces_metrics_and_events_arrive_over_grpc_too(line: Stack, tmp_path: Path) -> None:
    since = time.time()
    checks = {
        "nobody": {"kind": "tcp", "host": "127.0.0.1", "port": free_ports(("any",))["any"]},
        "export": {"kind": "otlp", "jaeger": line.jaeger.url, "prometheus": line.prometheus.url},
    }
    config = settings(line.collector.grpc_url, checks, "over-grpc", protocol="grpc")
    with Watch(tmp_path, config) as agent:
        until(lambda: line.jaeger.api.search("over-grpc", since, time.time()), "trace in Jaeger")
        failed = 'otelhealth_check_status{job="over-grpc", otelhealth_check_state="fail"} == 1'
        until(lambda: line.prometheus.api.query(failed), "state in Prometheus")
        until(lambda: "nobody" in changed(line, "over-grpc"), "event in the file")
        until(lambda: "is in Prometheus" in agent.record("export")["message"], "the canary's way")
        record = agent.record("export")
        assert record["last_result"] == "pass"
        assert "the Collector's gRPC port takes connections; the trace of " in record["message"]
