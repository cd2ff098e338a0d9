from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from otelhealth.checks.registry import all_kinds
from otelhealth.config.documents import read_yaml
from otelhealth.config.schema import json_schema
from otelhealth.config.toml import read_toml
from otelhealth.errors import ConfigError
from otelhealth.units import parse_duration

ROOT = Path(__file__).parents[2]
BAD = sorted((ROOT / "tests" / "config" / "bad").glob("*.*"))
GOOD = sorted(path for path in (ROOT / "examples").rglob("*.yaml") if "checks:" in path.read_text())

# what no schema of one file can know: other checks, other files, variables, time zones, what a text means
BEYOND = (
    *("alias", "bad-range", "cron", "default-does", "depends-on", "duplicate", "duration-too", "duration-zero"),
    *("endpoint", "environment", "expression", "file", "group", "include", "listen", "live", "maintenance", "merge"),
    *("misaligned", "network", "secret", "share", "size-too", "source", "status-tier", "tab", "tag", "timezone"),
    *("token", "twice", "two", "variable"),
)


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json.loads(json.dumps(json_schema()))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def errors(validator: Draft202012Validator, data: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]


@pytest.mark.parametrize("path", GOOD, ids=lambda path: path.name)
def test_the_examples_are_valid_and_name_the_schema_to_the_editor(validator: Draft202012Validator, path: Path) -> None:
    text = path.read_text()
    assert text.startswith("# yaml-language-server: $schema=")
    assert errors(validator, read_yaml(text, path.name)[0].plain()) == []


@pytest.mark.parametrize("path", [path for path in BAD if not path.name.startswith(BEYOND)], ids=lambda path: path.name)
def test_a_bad_file_is_invalid_where_a_schema_can_know_it(validator: Draft202012Validator, path: Path) -> None:
    text = path.read_text()
    try:
        root = read_toml(text, path.name) if path.suffix == ".toml" else read_yaml(text, path.name)[0]
    except ConfigError:
        return  # the editor sees that it is no document
    assert errors(validator, root.plain())


@pytest.mark.parametrize(
    "check",
    [
        {
            "kind": "cpu",
            "every": "${env:EVERY}",
            "tier": "${env:TIER:-2}",
            "enabled": "${env:ON}",
            "tags": "${env:TAGS}",
        },
        {"kind": "cpu", "threshold": "${file:threshold.yaml}", "jitter": 0.1, "grace": None},
        {"kind": "disk", "levels": {"utilization": {"warn": "> 85%"}, "utilization[/var]": {"fail": "> 95%"}}},
        {"kind": "http", "url": "http://127.0.0.1/", "headers": {"x-tenant": 7}, "expect": {"status": [200, "3xx"]}},
        {"kind": "python", "call": "a:b", "levels": {"anything": {"warn": "> 1"}}},
    ],
)
def test_what_the_loader_takes_is_valid(validator: Draft202012Validator, check: dict[str, Any]) -> None:
    assert errors(validator, {"checks": {"x": check}}) == []


@pytest.mark.parametrize(
    "check",
    [
        {},
        {"kind": "cpuu"},
        {"kind": "cpu", "name": "x"},
        {"kind": "cpu", "url": "http://127.0.0.1/"},
        {"kind": "cpu", "every": 5},
        {"kind": "cpu", "every": "5"},
        {"kind": "cpu", "tier": 5},
        {"kind": "cpu", "tier": "one"},
        {"kind": "disk", "levels": {"utilisation": {"warn": "> 85%"}}},
    ],
)
def test_what_the_loader_refuses_is_invalid(validator: Draft202012Validator, check: dict[str, Any]) -> None:
    assert errors(validator, {"checks": {"x": check}})


def test_an_error_speaks_of_the_fields_of_its_own_kind_only(validator: Draft202012Validator) -> None:
    found = errors(validator, {"checks": {"x": {"kind": "tcp", "hots": "x"}}})
    assert len(found) == 1
    assert "'hots' was unexpected" in found[0]


def described(field: dict[str, Any], schema: dict[str, Any]) -> str:
    """A field's description; pydantic leaves it to the definition where both say the same."""
    definition = field.get("anyOf", [{}])[0].get("$ref", "").rsplit("/", 1)[-1]
    return str(field.get("description") or schema["$defs"].get(definition, {}).get("description", ""))


def test_every_kind_has_a_branch_and_every_field_a_description() -> None:
    schema = json_schema()
    check = schema["$defs"]["check"]
    assert [each["const"] for each in check["properties"]["kind"]["oneOf"]] == list(all_kinds())
    for branch in check["allOf"]:
        name = branch["then"]["$ref"].rsplit("/", 1)[-1]
        fields = schema["$defs"][name]["properties"]
        assert [field for field, each in fields.items() if field != "kind" and not described(each, schema)] == []


def test_defaults_are_shown_as_a_user_would_write_them() -> None:
    definitions = json_schema()["$defs"]
    assert definitions["Threshold"]["properties"]["max_response_time"]["default"] == "5s"
    assert definitions["LimitSettings"]["properties"]["body_size"]["default"] == "64KiB"
    for schema in definitions.values():
        for each in schema.get("properties", {}).values():
            if "500ms" in each.get("examples", ()) and "default" in each:
                assert parse_duration(each["default"]) > 0
