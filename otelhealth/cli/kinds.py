"""`otelhealth kinds`: what can be checked, and what a kind takes and measures."""

from __future__ import annotations

import argparse
import difflib
import sys
from typing import Any

from otelhealth.checks.base import Check
from otelhealth.checks.registry import all_kinds
from otelhealth.cli.table import table


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", help="tell the fields and measurements of this one")


def _type(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A word or two for a field's JSON schema."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]] | {"title": schema["$ref"].rsplit("/", 1)[-1].lower()}
    if "enum" in schema or "const" in schema:
        return " | ".join(str(value) for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        kinds = [_type(option, definitions) for option in schema["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), definitions)}"
    if "examples" in schema:
        return f"such as {schema['examples'][0]}"
    return str(schema.get("title", "")).lower() if schema.get("type") == "object" else str(schema.get("type", "any"))


def _default(field: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    value = field.get("default")
    return "" if value is None or value in ("", [], {}) else str(value)


def fields(check: type[Check]) -> list[tuple[str, str, str, str]]:
    """Its settings, own ones first: name, type, default, description."""
    schema = check.model_json_schema()
    definitions, required = schema.get("$defs", {}), schema.get("required", [])
    rows = [
        (name, _type(field, definitions), _default(field, name in required), str(field.get("description", "")))
        for name, field in schema["properties"].items()
        if name not in ("kind", "name")
    ]
    return sorted(rows, key=lambda row: row[0] in Check.model_fields)


def describe(name: str, check: type[Check]) -> str:
    """The page of one kind."""
    quantities = [(q.name, q.unit, q.instrument, q.metric, q.description) for q in check.quantities]
    parts = [f"{name}: {check.summary}", "", *table(("field", "type", "default", "meaning"), fields(check))]
    if quantities:
        parts += ["", *table(("measurement", "unit", "instrument", "metric", "meaning"), quantities)]
    for measurement, levels in check.default_levels.items():
        parts += [
            "",
            f"default level: {measurement}: " + ", ".join(f"{status} {text}" for status, text in levels.items()),
        ]
    return "\n".join(parts)


def run(arguments: argparse.Namespace) -> int:
    kinds = all_kinds()
    if arguments.kind is None:
        print("\n".join(table(("kind", "what it checks"), [(name, check.summary) for name, check in kinds.items()])))
        return 0
    if arguments.kind not in kinds:
        near = difflib.get_close_matches(arguments.kind, kinds, 1)
        hint = f"did you mean {near[0]}?" if near else "`otelhealth kinds` lists them"
        print(f"otelhealth: unknown kind {arguments.kind!r}; {hint}", file=sys.stderr)
        return 3
    print(describe(arguments.kind, kinds[arguments.kind]))
    return 0
