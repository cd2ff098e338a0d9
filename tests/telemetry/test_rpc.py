"""OTLP/gRPC against a real gRPC server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped] # its stubs are another package
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)

from otelhealth.telemetry import Identity, Telemetry, TelemetrySettings
from tests.telemetry.conftest import Sample


class Service(TraceServiceServicer):
    def __init__(self) -> None:
        self.requests: list[tuple[ExportTraceServiceRequest, dict[str, str]]] = []
        self.refuse: Any = None

    def Export(self, request: ExportTraceServiceRequest, context: Any) -> Any:  # noqa: N802 - the protocol's name
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

        if self.refuse is not None:
            context.abort(self.refuse, "not now")
        self.requests.append((request, dict(context.invocation_metadata())))
        return ExportTraceServiceResponse()


@pytest.fixture
def served() -> Iterator[tuple[Service, str]]:
    service = Service()
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(service, server)  # type: ignore[no-untyped-call] # generated code
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield service, f"http://127.0.0.1:{port}"
    server.stop(None).wait()


def opened(endpoint: str) -> Telemetry:
    told = {
        "otlp": {"endpoint": endpoint, "protocol": "grpc", "headers": {"X-Key": "secret"}},
        "metrics": {"enabled": False},
    }
    return Telemetry.prepare(TelemetrySettings.model_validate(told), Identity("shop"), environ={}).start()


def test_spans_arrive_with_their_metadata(served: tuple[Service, str]) -> None:
    service, endpoint = served
    telemetry = opened(endpoint)
    telemetry.spans.start_run(Sample(name="api"), 0).end()
    assert telemetry.close()
    [(request, metadata)] = service.requests
    assert request.resource_spans[0].scope_spans[0].spans[0].name == "check api"
    assert metadata["x-key"] == "secret"


def test_a_refusal_is_counted(served: tuple[Service, str]) -> None:
    service, endpoint = served
    service.refuse = grpc.StatusCode.PERMISSION_DENIED
    telemetry = opened(endpoint)
    telemetry.spans.start_run(Sample(name="api"), 0).end()
    assert telemetry.close()
    [family] = [family for family in telemetry.families() if family.name == "otel.sdk.exporter.span.exported"]
    assert dict(family.points[0].attributes)["error.type"] == "permission_denied"


MISSING = """
import sys
sys.modules["grpc"] = None
from otelhealth.errors import OtelHealthError
from otelhealth.telemetry import Identity, Telemetry, TelemetrySettings
settings = TelemetrySettings.model_validate({"otlp": {"endpoint": "http://127.0.0.1:1", "protocol": "grpc"}})
try:
    Telemetry.prepare(settings, Identity("shop"), environ={}).start()
except OtelHealthError as error:
    print(error)
"""


def test_a_missing_library_names_the_extra() -> None:
    found = subprocess.run([sys.executable, "-c", MISSING], check=True, capture_output=True, text=True, timeout=60)
    assert found.stdout == "grpcio is not installed; pip install 'otelhealth[grpc]'\n"
