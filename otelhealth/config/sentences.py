"""Says in plain words what pydantic found. One table, by its error types; a value that may be secret is never shown."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple, get_args

from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from otelhealth.errors import near
from otelhealth.units import duration_text, parse_duration, parse_share, parse_size, size_text


class Said(NamedTuple):
    sentence: str
    remedy: str = ""


_LIST = Said("a list", "write [a, b]")
_MAPPING = Said("a mapping of keys to values", "write {key: value}")
_TEXT = Said("a text", "put it in quotes")
_WHOLE = Said("a whole number", "write digits, such as 3")
_NUMBER = Said("a number", "write digits, such as 0.5")
_BOOLEAN = Said("true or false", "write true or false")
_NETWORK = Said("a network", "write one such as 10.0.0.0/8")
WANTS: Mapping[str, Said] = {
    "string_type": _TEXT,
    "string_sub_type": _TEXT,
    "bytes_type": _TEXT,
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing_size": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "dict_type": _MAPPING,
    "mapping_type": _MAPPING,
    "model_type": _MAPPING,
    "model_attributes_type": _MAPPING,
    "dataclass_type": _MAPPING,
    "path_type": Said("the path of a file", "write one, in quotes"),
    "ip_any_address": Said("an IP address", "write one such as 127.0.0.1"),
    "ip_any_network": _NETWORK,
    "none_required": Said("nothing", "leave it out"),
}
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
_EXAMPLES = {
    parse_duration: "500ms, 30s, 5m, 1h, 7d",
    parse_size: "200MB or 1GiB",
    parse_share: "85% or 0.85",
}
MISSING = "is missing"
NEVER_ECHO = {"missing", "extra_forbidden", *WANTS, *_BOUNDS, *_SIZES}  # sentences without a value


def say(error: ErrorDetails, field: FieldInfo | None, known: list[str], origin: str) -> Said:
    """One error in plain words. `known` are the keys of the mapping around it; a value with an `origin` is kept out."""
    kind, context = error["type"], error.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_key(str(error["loc"][-1]), known)
    if kind == "missing":
        return Said(MISSING, f"set it: {describe(field)}" if describe(field) else "set it")
    if kind in WANTS:
        return Said(f"wants {WANTS[kind].sentence}", WANTS[kind].remedy)
    if kind in _BOUNDS or kind in _SIZES:
        return Said(_bound(kind, context, field)) if kind in _BOUNDS else _size(kind, context)
    if kind in ("literal_error", "enum"):
        return _one_of(error["input"], str(context.get("expected", "")), origin)
    return _custom(error, field, origin)


def _size(kind: str, context: Mapping[str, Any]) -> Said:
    sentence, remedy = _SIZES[kind]
    count = context.get("min_length", context.get("max_length"))
    return Said(sentence.format(count=count, s="" if count == 1 else "s"), remedy if count == 1 else "")


def _unknown_key(key: str, known: list[str]) -> Said:
    lists = (
        "`otelhealth kinds KIND` lists its fields" if "kind" in known else "`otelhealth schema` lists the known keys"
    )
    listed = f"known keys: {', '.join(known)}" if 0 < len(known) <= 12 else lists
    return Said(f"unknown key {key!r}", near(key, known, listed))


def _bound(kind: str, context: Mapping[str, Any], field: FieldInfo | None) -> str:
    sentence, key = _BOUNDS[kind]
    value = context[key]
    functions = _parsers(field)
    text = f"{value:g}" if isinstance(value, int | float) else str(value)
    if parse_duration in functions:
        text = duration_text(value)
    elif parse_size in functions:
        text = size_text(value)
    return sentence.format(**{key: text})


def _one_of(value: Any, expected: str, origin: str) -> Said:
    options = [option.strip("'") for option in expected.replace(" or ", ", ").split(", ")]
    listed = ", ".join(options)
    if origin or not isinstance(value, str | int | float | bool):
        return Said(f"the value of {origin or 'this'} is not one of {listed}")
    shown = repr(value) if isinstance(value, str) else json.dumps(value)
    return Said(f"{shown} is not one of {listed}", near(str(value), options, ""))


def _custom(error: ErrorDetails, field: FieldInfo | None, origin: str) -> Said:
    """A validator of ours speaks in our sentences already; anything else keeps pydantic's words without its jargon."""
    if origin:
        return Said(f"the value of {origin} does not fit", _example(field))
    if error["type"] == "string_pattern_mismatch":
        return Said(f"{error['input']!r} does not fit", _example(field))
    raised = error.get("ctx", {}).get("error")
    if isinstance(raised, ValueError | AssertionError):
        sentence, _, remedy = str(raised).partition("; ")
        return Said(sentence, remedy)
    text = error["msg"].replace("Input should", "should").replace("Value error, ", "")
    return Said(text[:1].lower() + text[1:], _example(field))


def _parsers(field: FieldInfo | None) -> list[Any]:
    """The functions that read the field's text, which tell what it is: a duration, a size."""
    if field is None:
        return []
    options = [field.annotation, *get_args(field.annotation)]
    marks = [*field.metadata, *(mark for option in options for mark in getattr(option, "__metadata__", ()))]
    return [getattr(mark, "func", None) for mark in marks]


def _example(field: FieldInfo | None) -> str:
    """What to write instead, where the value itself may not be shown."""
    for parse in _parsers(field):
        if parse in _EXAMPLES:
            return f"write one such as {_EXAMPLES[parse]}"
    if field is not None and field.examples:
        return f"write one such as {field.examples[0]}"
    return f"wanted: {describe(field)}" if describe(field) else ""


def describe(field: FieldInfo | None) -> str:
    """A field's description as the end of a sentence."""
    return field.description.rstrip(".") if field is not None and field.description else ""
