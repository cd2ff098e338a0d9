"""Which values of a configuration are secret: by the type of their setting, and by what gave them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from otelhealth.config.load import from_mapping, load

ENVIRON = {"VALUE": "given-value", "NUMBER": "123456", "SPEC": '{"text": "deep-value", "status": 200}'}


def secrets(checks: dict[str, Any], **sections: Any) -> frozenset[str]:
    return from_mapping({"service": {"name": "shop"}, "checks": checks, **sections}, ENVIRON).secrets


def http(**fields: Any) -> dict[str, Any]:
    return {"api": {"kind": "http", "url": "http://127.0.0.1/"} | fields}


@pytest.mark.parametrize(
    "fields",
    [
        {"headers": {"x-key": "given-value"}},
        {"headers": {"x-key": "Bearer given-value"}},
        {"headers": {"x-key": "Key ${env:VALUE}"}},
        {"body": "given-value"},
        {"body": '{"password": "${env:VALUE}"}'},
        {"url": "http://user:given-value@127.0.0.1/"},
        {"url": "http://127.0.0.1/bot${env:VALUE}/me"},
        {"url": "http://127.0.0.1/?key=${env:VALUE}"},
        {"expect": {"text": "${env:VALUE}"}},
        {"expect": {"regex": "a${env:VALUE}b"}},
        {"expect": {"headers": {"x": "${env:VALUE}"}}},
        {"expect": {"json": {"$.a": "${env:VALUE}"}}},
    ],
)
def test_a_value_is_secret_by_its_type_or_where_an_expectation_was_given_it(fields: dict[str, Any]) -> None:
    assert "given-value" in secrets(http(**fields))


def test_a_number_and_the_leaves_of_a_mapping_are_given_too() -> None:
    assert "123456" in secrets(http(expect={"json": {"$.a": "${env:NUMBER}"}}))
    assert "deep-value" in secrets(http(expect="${env:SPEC}"))


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "${env:URL:-http://given-value/}"},
        {"url": "http://${env:VALUE}/x"},
        {"peer": "${env:VALUE}"},
        {"expect": {"text": "given-value"}},
        {"expect": {"text": "${env:NONE:-given-value}"}},
        {"headers": {"accept": "given-value", "user-agent": "${env:VALUE}"}},
    ],
)
def test_what_stands_openly_is_not_secret(fields: dict[str, Any]) -> None:
    assert "given-value" not in secrets(http(**fields))


def test_a_dialogue_may_hold_secrets() -> None:
    found = secrets({"db": {"kind": "tcp", "host": "127.0.0.1", "port": 1, "dialogue": [{"expect": "${env:VALUE}"}]}})
    assert "given-value" in found


def test_what_a_file_gives_is_secret_but_for_what_the_service_is_called(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-a-file\n")
    (tmp_path / "version").write_text("1.4.2\n")
    config = tmp_path / "otelhealth.yaml"
    config.write_text(
        "service: {name: shop, version: '${file:version}'}\n"
        "checks: {api: {kind: http, url: http://127.0.0.1/, peer: '${file:secret}'}}\n"
    )
    assert load(config, {}).secrets == {"from-a-file"}


def test_tokens_and_headers_of_receivers_are_secret_whatever_says_them() -> None:
    environ = {
        "OTELHEALTH_SERVER__AUTH__TOKENS": '["token-of-the-server"]',
        "OTEL_EXPORTER_OTLP_HEADERS": "api-key=key-of-the-receiver",
        "OTELHEALTH_CHECKS__API__EXPECT__TEXT": "text-of-a-variable",
    }
    found = from_mapping({"checks": http()}, environ).secrets
    assert found == {"token-of-the-server", "key-of-the-receiver", "text-of-a-variable"}


def test_a_name_that_stands_openly_is_not_secret_elsewhere() -> None:
    assert "shop" not in secrets(http(headers={"x-tenant": "shop"}))


def test_a_configuration_shows_no_value_that_was_given_to_it() -> None:
    config = from_mapping({"checks": http(headers={"x-key": "${env:VALUE}"}, body="${env:VALUE}")}, ENVIRON)
    assert (
        "given-value" not in f"{config!r} {config.checks['api'].model_dump_json()} {config.checks['api'].model_dump()}"
    )
