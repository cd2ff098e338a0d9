"""Walks the settings' models by path: which field stands there, what it may be, and which keys are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from otelhealth.config.where import Way


def known_keys(model: type[BaseModel], path: Way) -> list[str]:
    """The keys that the mapping at `path` may have; none where it is free."""
    return [key for found in _models(model, path) for key in keys_of(found)]


def field_at(model: type[BaseModel], path: Way) -> FieldInfo | None:
    """The field at `path`, for its description; an item of a list or map has that of the whole."""
    for length in range(len(path), 0, -1):
        for found in _models(model, path[: length - 1]):
            field = keys_of(found).get(str(path[length - 1]))
            if field is not None:
                return field
    return None


def number_at(model: type[BaseModel], path: Way) -> type[int | float] | None:
    """The kind of number that is wanted at `path`; None where none is, or true and false are too."""
    types: set[Any] = set()
    for option in _at(model, path):
        types |= {type(value) for value in get_args(option)} if get_origin(option) is Literal else {option}
    return next((kind for kind in (int, float) if kind in types and not types & {bool, Any}), None)


@cache
def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the names a user writes."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models(annotation: Any, path: Way) -> Iterator[type[BaseModel]]:
    for option in _at(annotation, path):
        if isinstance(option, type) and issubclass(option, BaseModel):
            yield option


def _at(annotation: Any, path: Way) -> Iterator[Any]:
    """What may stand at `path` of what is annotated so."""
    for option in _options(annotation):
        if not path:
            yield option
        elif isinstance(option, type) and issubclass(option, BaseModel):
            if (field := keys_of(option).get(str(path[0]))) is not None:
                yield from _at(field.annotation, path[1:])
        elif (inside := _inside(option, path[0])) is not None:
            yield from _at(inside, path[1:])


def _options(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _options(get_args(annotation)[0])
    elif origin in (Union, UnionType):
        for option in get_args(annotation):
            yield from _options(option)
    else:
        yield annotation


def _inside(annotation: Any, key: str | int) -> Any:
    """What stands below a key of a map or an index of a list."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if not isinstance(origin, type) or not arguments:
        return None
    if issubclass(origin, Mapping):
        return arguments[1]
    return arguments[0] if issubclass(origin, Sequence | set | frozenset) and isinstance(key, int) else None
