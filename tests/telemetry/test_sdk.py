"""What user code makes through the API: exported, read back for the performance figures, shown on `/metrics`."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from opentelemetry._logs import SeverityNumber

from otelhealth.model import HistogramValue
from otelhealth.telemetry import Identity, Telemetry, TelemetrySettings
from tests.telemetry.conftest import Open
from tests.telemetry.receiver import Answer, Receiver, attributes, points
from tests.waiting import eventually


def test_request_durations_of_the_application_become_the_performance_figures(opened: Open) -> None:
    telemetry = opened()
    histogram = telemetry.meter_provider.get_meter("app").create_histogram("http.server.request.duration", "s")
    durations = [0.001 * 1.01**number for number in range(900)]
    for number, duration in enumerate(durations):
        status = 500 if number % 10 == 0 else 200
        histogram.record(duration, {"http.response.status_code": status, "http.route": f"/{number % 3}"})
    histogram.record(9.0, {"http.route": "/healthz"})  # nobody uses the service by asking whether it is well
    histogram.record(9.0, {"http.route": "/", "user_agent.synthetic.type": "test"})
    telemetry.read_application()
    times, rates, requests, source = telemetry.windows.performance(time.time())
    assert (requests, source) == (900, "application")
    assert times["p50_ms"] == pytest.approx(durations[449] * 1000, rel=0.02)
    assert times["p99_ms"] == pytest.approx(durations[890] * 1000, rel=0.02)
    assert rates["rate_15min"] == 10.0
    telemetry.read_application()
    assert telemetry.windows.performance(time.time())[2] == 900


def test_its_metrics_are_exported_and_stand_on_the_page(opened: Open, receiver: Receiver) -> None:
    telemetry = opened(metrics={"interval": "100ms"})
    meter = telemetry.meter_provider.get_meter("app")
    meter.create_counter("shop.orders", "{order}", "Orders.").add(2, {"region": "eu"})
    meter.create_up_down_counter("shop.carts").add(3)
    meter.create_gauge("shop.stock").set(4)
    meter.create_histogram("shop.price", "{euro}", explicit_bucket_boundaries_advisory=[1.0, 2.0]).record(1.5)
    families = eventually(lambda: {family.name: family for family in telemetry.families() if "shop" in family.name})
    assert telemetry.close()
    assert {name: family.type for name, family in families.items()} == {
        "shop.orders": "counter",
        "shop.carts": "updowncounter",
        "shop.stock": "gauge",
        "shop.price": "histogram",
    }
    assert families["shop.orders"].points[0].attributes == (("region", "eu"),)
    price = families["shop.price"].points[0].value
    assert isinstance(price, HistogramValue)
    assert (list(price.bounds), list(price.counts)) == ([1.0, 2.0], [0, 1, 0])
    exported = receiver.metrics()
    assert points(exported["shop.orders"])[0].as_int == 2
    assert exported["shop.price"].WhichOneof("data") == "histogram"


def test_its_logs_are_exported(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    logger = telemetry.logger_provider.get_logger("app")
    logger.emit(severity_number=SeverityNumber.INFO, body="bought", attributes={"order": 7})
    assert telemetry.close()
    [record] = receiver.logs()
    assert (record.body.string_value, attributes(record.attributes)) == ("bought", {"order": 7})


def test_a_failing_export_of_user_spans_is_said_once(
    opened: Open, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = Answer(400)
    telemetry = opened(metrics={"enabled": False}, traces={"delay": "10ms"})
    tracer = telemetry.tracer_provider.get_tracer("app")
    for number in range(1, 4):
        tracer.start_span("work").end()
        receiver.wait_for(number)
    assert telemetry.close()
    [message] = caplog.messages
    assert message.startswith("export of traces: the receiver answered 400, items dropped: 1; ")


def test_without_an_endpoint_its_metrics_still_stand_on_the_page() -> None:
    told = TelemetrySettings.model_validate({"metrics": {"interval": "100ms"}})
    telemetry = Telemetry.prepare(told, Identity("shop"), environ={}).start()
    telemetry.meter_provider.get_meter("app").create_counter("shop.orders").add(1)
    eventually(lambda: [family for family in telemetry.families() if family.name == "shop.orders"])
    assert telemetry.close()


GLOBAL = """
import sys
from opentelemetry import _logs, metrics, trace
from otelhealth.telemetry import Identity, Telemetry, TelemetrySettings
settings = TelemetrySettings.model_validate({"otlp": {"endpoint": sys.argv[1]}})
telemetry = Telemetry.prepare(settings, Identity("shop"), environ={}).start()
telemetry.set_global()
heavy = [name for name in ("opentelemetry.sdk", "requests", "google.protobuf", "grpc") if name in sys.modules]
assert not heavy, heavy
with trace.get_tracer("app").start_as_current_span("work"):
    metrics.get_meter("app").create_counter("shop.orders").add(1)
    _logs.get_logger("app").emit(body="bought")
assert "opentelemetry.sdk" in sys.modules
for provider in (trace.get_tracer_provider(), metrics.get_meter_provider(), _logs.get_logger_provider()):
    assert provider.force_flush()
assert telemetry.close()
"""


def test_the_global_api_writes_here_and_loads_the_sdk_only_when_it_is_used(receiver: Receiver) -> None:
    subprocess.run([sys.executable, "-c", GLOBAL, receiver.endpoint], check=True, timeout=60)
    assert [span.name for span in receiver.spans()] == ["work"]
    assert "shop.orders" in receiver.metrics()
    assert [record.body.string_value for record in receiver.logs()] == ["bought"]
    assert receiver.logs()[0].trace_id == receiver.spans()[0].trace_id
