"""Says in plain words what pydantic found. One table, by its error types; a value that may be secret is never shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from otelhealth.config.rules import near
from otelhealth.units import duration_text, parse_duration, parse_size, size_text

WANTS = {
    "string_type": "a text",
    "string_sub_type": "a text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "list_type": "a list",
    "tuple_type": "a list",
    "set_type": "a list",
    "frozen_set_type": "a list",
    "dict_type": "a mapping of keys to values",
    "mapping_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "dataclass_type": "a mapping of keys to values",
    "none_required": "nothing",
    "bytes_type": "a text",
    "path_type": "the path of a file",
    "url_type": "a URL",
    "url_parsing": "a URL",
    "url_scheme": "a URL",
    "ip_any_address": "an IP address",
}
_LISTS = ("list_type", "tuple_type", "set_type", "frozen_set_type")
_BOUNDS = {
    "greater_than": ("must be above {gt}", "gt"),
    "greater_than_equal": ("must be at least {ge}", "ge"),
    "less_than": ("must be below {lt}", "lt"),
    "less_than_equal": ("must be at most {le}", "le"),
}
_SIZES = {
    "string_too_short": ("must have at least {count} character{s}", "an empty text is refused"),
    "string_too_long": ("must have at most {count} character{s}", ""),
    "too_short": ("must have at least {count} item{s}", "an empty list is refused"),
    "too_long": ("must have at most {count} item{s}", ""),
}
NEVER_ECHO = {"missing", "extra_forbidden", *WANTS, *_BOUNDS, *_SIZES}  # sentences without a value


class Said(NamedTuple):
    sentence: str
    remedy: str = ""


def say(error: ErrorDetails, field: FieldInfo | None, known: list[str], origin: str) -> Said:
    """One error in plain words. `known` are the keys of the mapping around it; a value with an `origin` is kept out."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(str(error["loc"][-1]), known)
    if kind == "missing":
        return Said("is missing", f"set it: {describe(field)}" if describe(field) else "set it")
    if kind in WANTS:
        return Said(f"wants {WANTS[kind]}", _how(kind, error["input"], field, secret=bool(origin)))
    if kind in _BOUNDS or kind in _SIZES:
        return Said(_bound(kind, context, field)) if kind in _BOUNDS else _size(kind, context)
    if kind in ("literal_error", "enum"):
        return _one_of(error["input"], str(context.get("expected", "")), secret=bool(origin))
    return _custom(error, field, origin)


def _size(kind: str, context: Mapping[str, Any]) -> Said:
    sentence, remedy = _SIZES[kind]
    count = context.get("min_length", context.get("max_length"))
    return Said(sentence.format(count=count, s="" if count == 1 else "s"), remedy if count == 1 else "")


def _unknown_key(key: str, known: list[str]) -> Said:
    listed = f"known keys: {', '.join(known)}" if 0 < len(known) <= 12 else "`otelhealth schema` lists the known keys"
    return Said(f"unknown key {key!r}", near(key, known, listed))


def _how(kind: str, value: Any, field: FieldInfo | None, *, secret: bool) -> str:
    if kind in _LISTS and isinstance(value, str) and not secret:
        return f"write [{value}]"
    return describe(field)


def _bound(kind: str, context: Mapping[str, Any], field: FieldInfo | None) -> str:
    sentence, key = _BOUNDS[kind]
    value = context[key]
    functions = [getattr(each, "func", None) for each in field.metadata] if field is not None else []
    text = f"{value:g}" if isinstance(value, int | float) else str(value)
    if parse_duration in functions:
        text = duration_text(value)
    elif parse_size in functions:
        text = size_text(value)
    return sentence.format(**{key: text})


def _one_of(value: Any, expected: str, *, secret: bool) -> Said:
    options = [option.strip("'") for option in expected.replace(" or ", ", ").split(", ")]
    listed = ", ".join(options)
    if secret or not isinstance(value, str | int | float | bool):
        return Said(f"is not one of {listed}")
    return Said(f"{shown(value)} is not one of {listed}", near(str(value), options, ""))


def _custom(error: ErrorDetails, field: FieldInfo | None, origin: str) -> Said:
    """A validator of ours speaks in our sentences already; anything else keeps pydantic's words without its jargon."""
    if origin:
        return Said(f"the value of {origin} does not fit", describe(field))
    raised = error.get("ctx", {}).get("error")
    if isinstance(raised, ValueError | AssertionError):
        sentence, _, remedy = str(raised).partition("; ")
        return Said(sentence, remedy)
    text = error["msg"].replace("Input should", "should").replace("Value error, ", "")
    return Said(text[:1].lower() + text[1:], describe(field))


def describe(field: FieldInfo | None) -> str:
    """A field's description as the end of a sentence."""
    if field is None or not field.description:
        return ""
    return field.description.rstrip(".")


def shown(value: Any) -> str:
    return json.dumps(value) if isinstance(value, bool | int | float) else repr(value)
