"""The JSON schema (draft 2020-12) of a configuration file: an editor's completion, descriptions and first errors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import models_json_schema

from otelhealth.checks.base import Check
from otelhealth.checks.registry import all_kinds, kind_of
from otelhealth.config.assemble import NAME
from otelhealth.config.root import SECTIONS
from otelhealth.units import duration_text, parse_duration, parse_size, size_text

Schema = dict[str, Any]
_EXPRESSION: Schema = {"$ref": "#/$defs/expression"}
_ANNOTATIONS = ("description", "default", "examples", "deprecated", "writeOnly", "format")
_FREE = {"type", "maxLength", "minLength", *_ANNOTATIONS}


def json_schema() -> Schema:
    """The schema of `otelhealth.yaml`, with the fields of every installed kind."""
    kinds = all_kinds()
    models = [*SECTIONS.values(), *kinds.values()]
    refs, generated = models_json_schema([(model, "validation") for model in models], title="otelhealth")
    definitions = {name: _definition(schema) for name, schema in generated["$defs"].items()}
    of_kind = {kind: _name(refs[model, "validation"]) for kind, model in kinds.items()}
    for kind, name in of_kind.items():
        _as_check(definitions[name], kinds[kind])
    definitions["check"] = _check(kinds, of_kind)
    definitions["expression"] = {
        "type": "string",
        "pattern": r"\$\{[^}]+\}",
        "description": "${env:NAME}, ${env:NAME:-default} or ${file:/path}.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "otelhealth",
        "description": "A configuration of the health agent otelhealth.",
        "type": "object",
        "additionalProperties": False,
        "properties": _sections({name: refs[model, "validation"] for name, model in SECTIONS.items()}),
        "$defs": definitions,
    }


def _name(reference: Mapping[str, Any]) -> str:
    return str(reference["$ref"]).rsplit("/", 1)[-1]


def _sections(references: Mapping[str, Mapping[str, Any]]) -> Schema:
    properties: Schema = {
        name: {"description": SECTIONS[name].__doc__, "anyOf": [dict(reference), _EXPRESSION]}
        for name, reference in references.items()
    }
    properties["checks"] = {
        "description": "The checks by name.",
        "type": "object",
        "propertyNames": {"pattern": f"^{NAME.pattern}$"},
        "additionalProperties": {"$ref": "#/$defs/check"},
    }
    properties["include"] = {
        "description": "Files or globs, relative to this file, whose sections and checks are added.",
        "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
    }
    return properties


def _check(kinds: Mapping[str, type[Check]], names: Mapping[str, str]) -> Schema:
    """A check by its kind: a branch for each, so that an editor speaks of that kind's fields only."""
    return {
        "type": "object",
        "required": ["kind"],
        "properties": {
            "kind": {
                "description": "What is checked.",
                "oneOf": [{"const": kind, "description": model.summary} for kind, model in kinds.items()],
            }
        },
        "allOf": [
            {
                "if": {"required": ["kind"], "properties": {"kind": {"const": kind}}},
                "then": {"$ref": f"#/$defs/{name}"},
            }
            for kind, name in names.items()
        ],
    }


def _as_check(schema: Schema, kind: type[Check]) -> None:
    """What a kind's model says of itself, as the value of a key under `checks`: the key is the name."""
    schema["properties"].pop("name")
    schema["properties"]["kind"] = {"const": kind_of(kind)}
    levels = schema["properties"].get("levels")
    if levels is None or not kind.quantities:
        return
    level = {"$ref": "#/$defs/Level"}
    names = {quantity.name: quantity.description for quantity in kind.quantities}
    names["duration"] = "How long the run took (s)."
    levels.pop("anyOf", None)
    levels |= {
        "type": "object",
        "properties": {name: {"description": text, "anyOf": [level]} for name, text in names.items()},
        "patternProperties": {rf"^({'|'.join(map(re.escape, names))})\[.*\]$": level},
        "additionalProperties": level if kind.open_measurements else False,
    }


def _definition(schema: Schema) -> Schema:
    """A model's schema as a user meets it: values may be expressions, defaults are written as a user would."""
    found = {key: value for key, value in schema.items() if key != "title"}
    if "properties" in found:
        found["properties"] = {name: _value(each) for name, each in found["properties"].items()}
    if isinstance(found.get("additionalProperties"), dict):
        found["additionalProperties"] = _value(found["additionalProperties"])
    return found


def _value(schema: Schema) -> Schema:
    """The schema of one value, or an expression in its stead."""
    schema = _below({key: value for key, value in schema.items() if key != "title"})
    if schema.get("default") is None or schema["default"] in ([], {}, ""):
        schema.pop("default", None)
    else:
        schema["default"] = _written(schema["default"], schema)
    options = schema.get("anyOf", [schema])
    if any(option.get("type") == "string" and set(option) <= _FREE for option in options):
        return _lenient(schema)
    said = {key: schema.pop(key) for key in _ANNOTATIONS if key in schema}
    inner = schema["anyOf"] if set(schema) == {"anyOf"} else [schema]
    return {**said, "anyOf": [*inner, _EXPRESSION]}


def _below(schema: Schema) -> Schema:
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            schema[key] = _value(schema[key])
    for key in ("anyOf", "oneOf", "prefixItems"):
        if key in schema:
            schema[key] = [
                _below({name: part for name, part in each.items() if name != "title"}) for each in schema[key]
            ]
    return schema


def _lenient(schema: Schema) -> Schema:
    """Where a text is wanted, a number counts as it is written: `version: 1.10`."""
    if "anyOf" in schema:
        return {**schema, "anyOf": [_lenient(option) for option in schema["anyOf"]]}
    return (
        {**schema, "type": ["string", "number"]} if schema.get("type") == "string" and set(schema) <= _FREE else schema
    )


def _written(value: Any, schema: Schema) -> Any:
    """A default of a duration or size as a user writes it."""
    for option in schema.get("anyOf", [schema]):
        example = (option.get("examples") or schema.get("examples") or [None])[0]
        if isinstance(value, int | float) and not isinstance(value, bool) and option.get("type") == "string":
            for parse, text in ((parse_duration, duration_text), (parse_size, size_text)):
                try:
                    parse(example)
                except ValueError:
                    continue
                return text(value)
    return value
