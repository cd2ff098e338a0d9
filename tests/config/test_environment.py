from __future__ import annotations

from pathlib import Path

import pytest

from otelhealth.config.load import load
from otelhealth.config.root import Config
from otelhealth.errors import ConfigError

FILE = """
service: {name: shop, version: 1.0.0}
server: {listen: 127.0.0.1:8082}
checks:
  api-v1.2: {kind: http, url: "http://127.0.0.1/", headers: {X-Tenant: shop}}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.yaml"
    path.write_text(FILE)
    return path


def configured(file: Path, **environ: str) -> Config:
    return load(file, environ)


def refusal(file: Path | None, environ: dict[str, str]) -> str:
    with pytest.raises(ConfigError) as caught:
        load(file, environ)
    return str(caught.value)


def test_a_variable_stands_above_the_file_and_the_file_above_the_default(file: Path) -> None:
    assert configured(file).server.listen == "127.0.0.1:8082"
    assert configured(file, OTELHEALTH_SERVER__LISTEN="127.0.0.1:9090").server.listen == "127.0.0.1:9090"
    assert load(None, {}).server.listen == "127.0.0.1:8082"


def test_a_variable_reaches_any_depth_and_is_written_in_any_case(file: Path) -> None:
    config = load(
        file,
        {
            "otelhealth_defaults__Threshold__max_consecutive_failures": "7",
            "OTELHEALTH_TELEMETRY__TRACES__ENABLED": "false",
            "OTELHEALTH_SERVER__AUTH__TOKENS": '["s3cret", "0123"]',
        },
    )
    assert config.checks["api-v1.2"].threshold.max_consecutive_failures == 7
    assert config.telemetry.traces.enabled is False
    assert [token.get_secret_value() for token in config.server.auth.tokens] == ["s3cret", "0123"]


def test_a_segment_means_the_key_it_can_only_spell_in_part(file: Path) -> None:
    config = configured(file, OTELHEALTH_CHECKS__API_V1_2__TIER="1", OTELHEALTH_CHECKS__API_V1_2__HEADERS__X_TENANT="a")
    check = config.checks["api-v1.2"]
    assert check.tier == 1
    assert list(check.model_dump()["headers"]) == ["X-Tenant"]


def test_a_variable_may_add_a_check_or_give_all_of_them(file: Path) -> None:
    added = configured(file, OTELHEALTH_CHECKS__CPU__KIND="cpu", OTELHEALTH_CHECKS__CPU__EVERY="5s")
    assert (list(added.checks), added.checks["cpu"].every) == (["api-v1.2", "cpu"], 5)
    given = configured(file, OTELHEALTH_CHECKS='{"cpu": {"kind": "cpu", "tags": ["a"]}}')
    assert {name: check.tags for name, check in given.checks.items()} == {"cpu": ("a",)}


def test_a_variable_changes_a_check_of_the_embedded_defaults() -> None:
    config = load(None, {"OTELHEALTH_CHECKS__CPU__EVERY": "5s"})
    assert (config.checks["cpu"].every, len(config.checks)) == (5, 6)


def test_a_check_that_has_no_kind_says_so_by_its_variable(file: Path) -> None:
    assert refusal(file, {"OTELHEALTH_CHECKS__NEW__EVERY": "5s"}) == (
        "environment: OTELHEALTH_CHECKS__NEW__EVERY: checks.new.kind is missing; `otelhealth kinds` lists them"
    )


def test_a_text_that_looks_like_a_number_stays_as_it_was_written(file: Path) -> None:
    assert configured(file, OTELHEALTH_SERVICE__NAME="0123").service.name == "0123"


def test_names_without_two_underscores_are_no_settings(file: Path) -> None:
    # Kubernetes sets these in every pod beside a Service that is called otelhealth
    environ = {
        "OTELHEALTH_SERVICE_HOST": "10.0.0.1",
        "OTELHEALTH_SERVICE_PORT": "8082",
        "OTELHEALTH_PORT": "tcp://10.0.0.1:8082",
        "OTELHEALTH_PORT_8082_TCP_ADDR": "10.0.0.1",
        "OTELHEALTH_CONFIG": str(file),
    }
    assert load(file, environ) == load(file, {})


def test_a_name_that_lacks_the_second_underscore_is_refused(file: Path) -> None:
    assert refusal(file, {"OTELHEALTH_SERVICE_NAME": "shop"}) == (
        "environment: OTELHEALTH_SERVICE_NAME: sets nothing; did you mean OTELHEALTH_SERVICE__NAME?"
    )


def test_the_value_of_a_variable_is_never_shown(file: Path) -> None:
    said = refusal(
        file,
        {
            "OTELHEALTH_SERVER__LISTEN": "hunter2",
            "OTELHEALTH_SERVER__AUTH__TOKENS": "hunter2",
            "OTELHEALTH_CHECKS__API_V1_2__EVERY": "hunter2",
            "OTELHEALTH_CHECKS__API_V1_2__URL": "ftp://hunter2",
        },
    )
    assert "hunter2" not in said
    assert sorted(line.split(": ")[1] for line in said.splitlines()) == [
        "OTELHEALTH_CHECKS__API_V1_2__EVERY",
        "OTELHEALTH_CHECKS__API_V1_2__URL",
        "OTELHEALTH_SERVER__AUTH__TOKENS",
        "OTELHEALTH_SERVER__LISTEN",
    ]


def test_the_standard_variables_of_opentelemetry_stand_above_the_file_and_below_ours(file: Path) -> None:
    standard = {
        "OTEL_SERVICE_NAME": "till",
        "OTEL_RESOURCE_ATTRIBUTES": "service.name=ignored,service.version=2.0.0,deployment.environment.name=test%20bed",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318",
    }
    config = load(file, standard)
    assert (config.service.name, config.service.version) == ("till", "2.0.0")
    assert config.service.environment == "test bed"
    assert config.telemetry.otlp.endpoint == "http://collector:4318"
    ours = {"OTELHEALTH_SERVICE__NAME": "ours", "OTELHEALTH_TELEMETRY__OTLP__ENDPOINT": "http://other:4318"}
    config = load(file, standard | ours)
    assert (config.service.name, config.telemetry.otlp.endpoint) == ("ours", "http://other:4318")


def test_the_environment_works_without_a_file() -> None:
    config = load(None, {"OTEL_SERVICE_NAME": "till", "OTELHEALTH_STORE__PATH": ":memory:"})
    assert (config.service.name, config.store.path, config.file) == ("till", ":memory:", None)
    assert "environment: OTELHEALTH_SERVER__PORT: unknown key 'port'" in refusal(None, {"OTELHEALTH_SERVER__PORT": "1"})
