"""Whether what is received would come back, however the endpoint is written."""

from __future__ import annotations

import platform

import psutil
import pytest

from otelhealth.address import Address
from otelhealth.config.load import from_mapping
from otelhealth.errors import ConfigError
from otelhealth.telemetry import TelemetrySettings
from otelhealth.telemetry.circle import leads_back

NAME = platform.node()
OTHERS = [each.address for each in psutil.net_if_addrs().get("eth0", []) if "." in each.address]


@pytest.mark.parametrize(
    ("endpoint", "listening"),
    [
        ("http://127.0.0.1:4318", "127.0.0.1:4318"),
        ("http://localhost:4318/v1/traces", "127.0.0.1:4318"),
        ("http://LOCALHOST.:4318", "127.0.0.1:4318"),
        ("http://0.0.0.0:4318", "127.0.0.1:4318"),
        ("http://127.0.0.1:4318", "0.0.0.0:4318"),
        ("http://127.0.0.1:4318", "localhost:4318"),
        ("http://localhost:4318", "localhost:4318"),
        ("http://[::1]:4318", "[::1]:4318"),
        ("http://[0:0:0:0:0:0:0:1]:4318", "[::1]:4318"),
        ("http://[::1]:4318", "[::]:4318"),
        ("http://agent.example:4318", "agent.example:4318"),
        (f"http://{NAME}:4318", "0.0.0.0:4318"),
        (f"http://{NAME.upper()}:4318", "127.0.0.1:4318"),
        ("http://localhost", "127.0.0.1:80"),
        ("https://localhost", "127.0.0.1:443"),
        *((f"http://{address}:4318", "0.0.0.0:4318") for address in OTHERS),
    ],
)
def test_an_endpoint_that_leads_back_is_known(endpoint: str, listening: str) -> None:
    assert leads_back(endpoint, Address.parse(listening))


@pytest.mark.parametrize(
    ("endpoint", "listening"),
    [
        ("http://127.0.0.1:4317", "127.0.0.1:4318"),
        ("http://127.0.0.1:4318", "127.0.0.1:0"),
        ("http://collector:4318", "0.0.0.0:4318"),
        ("http://192.0.2.7:4318", "0.0.0.0:4318"),
        ("http://192.0.2.7:4318", "127.0.0.1:4318"),
        ("http://localhost:4318", "192.0.2.7:4318"),
        ("http://127.0.0.1:4318", "192.0.2.7:4318"),
        ("http://localhost:4318", "agent.example:4318"),
    ],
)
def test_an_endpoint_that_leads_elsewhere_is_fine(endpoint: str, listening: str) -> None:
    assert not leads_back(endpoint, Address.parse(listening))


def test_a_circle_that_only_the_environment_closes_is_refused_too() -> None:
    environ = {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://localhost:4318/v1/logs"}
    with pytest.raises(ConfigError, match=r"telemetry.*: 127.0.0.1:4318 is where the endpoint of logs leads"):
        from_mapping({"telemetry": {"receive": "127.0.0.1:4318"}}, environ)


@pytest.mark.parametrize("receive", ["127.0.0.1:4318", {"listen": "127.0.0.1:4318"}])
def test_the_address_may_be_written_alone(receive: object) -> None:
    settings = TelemetrySettings.model_validate({"receive": receive})
    assert settings.receiving is not None
    assert settings.receiving.address == Address("127.0.0.1", 4318)
    assert settings.receiving.limits.body_size == 20 * 2**20
