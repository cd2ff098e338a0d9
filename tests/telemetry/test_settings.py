"""Settings, and `OTEL_*` above them."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from pydantic import ValidationError

from otelhealth.config.load import from_mapping
from otelhealth.telemetry import TelemetrySettings

FILE: dict[str, Any] = {"otlp": {"endpoint": "http://file:4318", "headers": {"a": "file"}, "timeout": "3s"}}


def merged(environ: dict[str, str], told: dict[str, Any] = FILE) -> TelemetrySettings:
    return from_mapping({"telemetry": told}, environ).telemetry


def test_each_signal_has_its_own_path_below_the_endpoint() -> None:
    settings = merged({})
    for signal in ("traces", "metrics", "logs"):
        receiver = settings.receiver(signal)
        assert receiver is not None
        assert receiver.endpoint == f"http://file:4318/v1/{signal}"
        assert receiver.timeout == 3.0


def test_an_endpoint_of_a_signal_is_used_as_it_is() -> None:
    settings = merged({}, FILE | {"traces": {"otlp": {"endpoint": "http://jaeger:4318/x", "timeout": "1s"}}})
    traces, logs = settings.receiver("traces"), settings.receiver("logs")
    assert traces is not None
    assert logs is not None
    assert (traces.endpoint, traces.timeout) == ("http://jaeger:4318/x", 1.0)
    assert traces.headers["a"].get_secret_value() == "file"
    assert logs.endpoint == "http://file:4318/v1/logs"


def test_a_grpc_endpoint_has_no_path() -> None:
    settings = merged({}, {"otlp": {"endpoint": "http://collector:4317", "protocol": "grpc"}})
    receiver = settings.receiver("traces")
    assert receiver is not None
    assert receiver.endpoint == "http://collector:4317"


def test_without_an_endpoint_or_when_disabled_a_signal_has_no_receiver() -> None:
    assert merged({}, {}).receiver("traces") is None
    assert merged({}, FILE | {"traces": {"enabled": False}}).receiver("traces") is None


def test_the_environment_stands_above_the_file() -> None:
    settings = merged(
        {
            "OTEL_EXPORTER_OTLP_ENDPOINT": "https://env:4318",
            "OTEL_EXPORTER_OTLP_HEADERS": "a=env,b=two%20words",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "7",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "none",
            "OTEL_EXPORTER_OTLP_CERTIFICATE": "/etc/ca.pem",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://traces:4318/v1/traces",
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL": "grpc",
            "OTEL_BSP_SCHEDULE_DELAY": "250",
            "OTEL_BSP_MAX_QUEUE_SIZE": "123",
            "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE": "12",
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
            "OTEL_METRICS_EXPORTER": "none",
        }
    )
    traces, logs = settings.receiver("traces"), settings.receiver("logs")
    assert traces is not None
    assert logs is not None
    assert traces.endpoint == "http://traces:4318/v1/traces"
    assert {name: value.get_secret_value() for name, value in traces.headers.items()} == {"a": "env", "b": "two words"}
    assert (traces.timeout, traces.compression, str(traces.certificate)) == (7.0, "none", "/etc/ca.pem")
    assert (logs.protocol, logs.endpoint) == ("grpc", "https://env:4318")
    assert (settings.traces.delay, settings.traces.max_queue, settings.logs.max_batch) == (0.25, 123, 12)
    assert settings.metrics.interval == 5.0
    assert settings.receiver("metrics") is None


def test_our_own_variable_stands_above_the_standard_one() -> None:
    environ = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://env:4318",
        "OTELHEALTH_TELEMETRY__OTLP__ENDPOINT": "http://file:4318",
    }
    assert merged(environ).otlp.endpoint == "http://file:4318"


def test_a_disabled_sdk_sends_nothing() -> None:
    settings = merged({"OTEL_SDK_DISABLED": "TRUE"})
    assert [settings.receiver(signal) for signal in ("traces", "metrics", "logs")] == [None] * 3


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon", "'soon' is not a positive number"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json", "'http/json' is none of http/protobuf, grpc"),
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "collector:4318",
            "'collector:4318' is not an OTLP endpoint; write one such as http://",
        ),
        ("OTEL_EXPORTER_OTLP_HEADERS", "s3cret", "no header found; write name=value,name=value"),
        ("OTEL_TRACES_EXPORTER", "console", "'console' is none of otlp, none"),
    ],
)
def test_a_variable_that_cannot_be_read_is_said_and_ignored(
    name: str, value: str, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "otelhealth"):
        assert merged({name: value}) == merged({})
    [message] = caplog.messages
    assert message.startswith(f"{name} is ignored: {sentence}")
    assert "s3cret" not in message


def test_an_endpoint_that_is_no_url_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValidationError, match="write one such as http://127"):
        TelemetrySettings.model_validate({"otlp": {"endpoint": "collector:4318"}})


def test_headers_are_never_shown() -> None:
    settings = TelemetrySettings.model_validate({"otlp": {"headers": {"authorization": "Bearer s3cret"}}})
    assert "s3cret" not in repr(settings) + settings.model_dump_json()
