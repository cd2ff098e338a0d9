"""Walks the settings' models by path: which field stands there, and which keys are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

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


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """A model's fields by the names a user writes."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models(annotation: Any, path: Way) -> Iterator[type[BaseModel]]:
    for option in _options(annotation):
        if isinstance(option, type) and issubclass(option, BaseModel):
            if not path:
                yield option
            elif (field := keys_of(option).get(str(path[0]))) is not None:
                yield from _models(field.annotation, path[1:])
        elif path and (inside := _inside(option, path[0])) is not None:
            yield from _models(inside, path[1:])


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
