from __future__ import annotations

import os

from otelhealth.inside.defaults import DEFAULTS, set_defaults
from otelhealth.inside.environment import BOOT, of_command
from otelhealth.telemetry.resource import resource_attributes

RESOURCE = {
    "service.name": "shop",
    "service.version": "1.4.2",
    "service.instance.id": "0b5c8a5e-8f0e-5a5e-9a6d-0a4b6ac6a5f1",
    "host.name": "h, with = signs",
    "telemetry.sdk.name": "otelhealth",
}


def changed(
    environ: dict[str, str], endpoint: str = "http://127.0.0.1:4711", *, instrument: bool = True
) -> dict[str, str]:
    """`environ` as the command gets it."""
    changes = of_command(environ, RESOURCE, endpoint, "/run/here", instrument=instrument)
    assert not set(changes.without) & set(changes.environment)
    kept = {name: value for name, value in environ.items() if name not in changes.without}
    return kept | dict(changes.environment)


def test_a_command_exports_to_the_agent_whatever_way_its_user_had_set() -> None:
    way = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": "https://far:4318",
        "OTEL_EXPORTER_OTLP_HEADERS": "authorization=secret",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://other",
        "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE": "/ca.pem",
        "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_PYTHON_EXPORTER_OTLP_HTTP_CREDENTIAL_PROVIDER": "x",
    }
    own = {
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta",
        "OTEL_TRACES_SAMPLER": "always_off",
        "PATH": "/",
    }
    found = changed(way | own)
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == "http://127.0.0.1:4711"
    assert found["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
    assert {name for name in found if name in way} == {"OTEL_EXPORTER_OTLP_ENDPOINT"}
    assert own.items() <= found.items()


def test_without_a_receiver_of_the_agents_the_way_stays() -> None:
    assert changed({"OTEL_EXPORTER_OTLP_ENDPOINT": "x", "OTEL_EXPORTER_OTLP_HEADERS": "y"}, "").items() >= {
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "x"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "y"),
    }


def test_it_is_told_who_it_is_and_what_its_user_said_comes_first() -> None:
    found = changed({"OTEL_RESOURCE_ATTRIBUTES": "service.version=2,team=a%20b"})
    told = resource_attributes(found)
    assert (told["service.name"], told["service.version"], told["team"]) == ("shop", "2", "a b")
    assert told["host.name"] == "h, with = signs"
    assert "telemetry.sdk.name" not in told
    assert found["OTELHEALTH_INSTANCE"] == told["service.instance.id"] == RESOURCE["service.instance.id"]


def test_an_instance_id_of_the_users_own_is_left_to_him() -> None:
    found = changed({"OTEL_RESOURCE_ATTRIBUTES": "service.instance.id=mine", "OTEL_SERVICE_NAME": "billing"})
    assert "OTELHEALTH_INSTANCE" not in found
    assert resource_attributes(found)["service.instance.id"] == "mine"
    assert found["OTEL_SERVICE_NAME"] == "billing"


def test_python_begins_with_us_and_goes_on_with_the_users_own_path() -> None:
    assert changed({})["PYTHONPATH"] == str(BOOT)
    assert changed({"PYTHONPATH": "/a:/b"})["PYTHONPATH"] == os.pathsep.join((str(BOOT), "/a:/b"))
    assert "PYTHONPATH" not in changed({}, instrument=False)


def test_defaults_lose_against_what_the_user_set() -> None:
    environ = {"OTEL_TRACES_EXPORTER": "console", "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process, otel"}
    set_defaults(environ)
    set_defaults(environ)
    assert environ["OTEL_TRACES_EXPORTER"] == "console"
    assert environ["OTEL_METRICS_EXPORTER"] == "otlp"
    assert environ["OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"] == "otelhealth,process,otel"
    assert set(environ) == {*DEFAULTS, "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS"}
