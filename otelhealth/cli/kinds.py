"""`otelhealth kinds`: what can be checked, and what a kind takes and measures."""

from __future__ import annotations

import argparse
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from otelhealth.checks.base import Check
from otelhealth.checks.registry import all_kinds
from otelhealth.cli.table import table
from otelhealth.errors import near
from otelhealth.units import duration_text, quantity_text, size_text

_AS_WRITTEN: Mapping[str, Callable[[float], str]] = {
    "such as 500ms": duration_text,
    "such as 200MB": size_text,
    "such as 85%": lambda share: quantity_text(share, "1"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", nargs="?", help="tell the fields and measurements of this one")


def _type(schema: dict[str, Any], definitions: dict[str, Any]) -> str:
    """A word or two for a field's JSON schema."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rsplit("/", 1)[-1]] | {"title": schema["$ref"].rsplit("/", 1)[-1].lower()}
    if "enum" in schema or "const" in schema:
        return " | ".join(str(value) for value in schema.get("enum", [schema.get("const")]))
    if "examples" in schema:
        return f"such as {schema['examples'][0]}"
    if "anyOf" in schema:
        kinds = [_type(option, definitions) for option in schema["anyOf"] if option.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}), definitions)}"
    if schema.get("additionalProperties"):
        return "mapping"
    return str(schema.get("title", "")).lower() if schema.get("type") == "object" else str(schema.get("type", "any"))


def _default(field: dict[str, Any], required: bool) -> str:
    if required:
        return "required"
    value = field.get("default")
    if value is None or value in ("", [], {}):
        return ""
    written = _AS_WRITTEN.get(_type(field, {}))
    return written(value) if written else value if isinstance(value, str) else json.dumps(value)


def _rows(schema: dict[str, Any], definitions: dict[str, Any], above: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Of an object's fields; those of an object within stand as `expect.status`."""
    for name, field in schema["properties"].items():
        inner = definitions.get(str(field.get("$ref", "")).rsplit("/", 1)[-1], {})
        if "properties" in inner:
            yield from _rows(inner, definitions, f"{above}{name}.")
        else:
            default = _default(field, name in schema.get("required", []))
            yield f"{above}{name}", _type(field, definitions), default, str(field.get("description", ""))


def fields(check: type[Check]) -> list[tuple[str, str, str, str]]:
    """Its settings: name, type, default, description. First what it requires, its own, and what a few kinds share."""
    schema = check.model_json_schema()
    rows = [row for row in _rows(schema, schema.get("$defs", {})) if row[0] not in ("kind", "name")]
    own = inspect.get_annotations(check)

    def rank(row: tuple[str, str, str, str]) -> tuple[bool, bool, bool]:
        name = row[0].partition(".")[0]
        return row[2] != "required", name in Check.model_fields, name not in own

    return sorted(rows, key=rank)


def describe(name: str, check: type[Check]) -> str:
    """The page of one kind."""
    quantities = [(q.name, q.unit, q.instrument, q.metric, q.description) for q in check.quantities]
    parts = [f"{name}: {check.summary}", "", *table(("field", "type", "default", "meaning"), fields(check))]
    if quantities:
        parts += ["", *table(("measurement", "unit", "instrument", "metric", "meaning"), quantities)]
    defaults = [(name, *map(levels.get, ("warn", "fail"))) for name, levels in check.default_levels.items()]
    if defaults:
        parts += ["", *table(("default level", "warn", "fail"), [[text or "" for text in row] for row in defaults])]
    return "\n".join(parts)


def run(arguments: argparse.Namespace) -> int:
    kinds = all_kinds()
    if arguments.kind is None:
        print("\n".join(table(("kind", "what it checks"), [(name, check.summary) for name, check in kinds.items()])))
        return 0
    if arguments.kind not in kinds:
        remedy = near(arguments.kind, kinds, "`otelhealth kinds` lists them")
        print(f"otelhealth: unknown kind {arguments.kind!r}; {remedy}", file=sys.stderr)
        return 3
    print(describe(arguments.kind, kinds[arguments.kind]))
    return 0
