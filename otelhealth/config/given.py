"""What variables and files gave to a configuration, and which of it is secret: by the type of the setting it is in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from otelhealth.checks.registry import find_kind
from otelhealth.checks.secret import is_open, is_secret
from otelhealth.checks.url import Url
from otelhealth.config.fields import field_at
from otelhealth.config.where import Node, Way

_SEGMENT = 8  # characters of a part of a URL's path that is secret, like the token of a chat's webhook


class Given(NamedTuple):
    """A value from a variable or file, and where it stands."""

    path: Way
    value: str
    from_file: bool
    within: Any  # the whole value it is part of


def given_to(path: Way, node: Node, values: Iterable[tuple[str, bool]]) -> Iterator[Given]:
    """What expressions gave to `node`: (value, whether a file gave it). A mapping or list gives its leaves."""
    for value, from_file in values:
        if not isinstance(node.value, dict | list):
            yield Given(path, value, from_file, node.value)
            continue
        for inner, leaf in node.walk(path):
            if not isinstance(leaf.value, dict | list):
                yield Given(inner, str(leaf.text or leaf.value), from_file, leaf.value)


def secrets(given: Iterable[Given], root: Node, sections: Mapping[str, type[BaseModel]]) -> tuple[SecretStr, ...]:
    """The secret ones of these values."""
    found = (each.value for each in given if _is_secret(each, _field(each.path, root, sections)))
    return tuple(SecretStr(value) for value in dict.fromkeys(found))


def _field(path: Way, root: Node, sections: Mapping[str, type[BaseModel]]) -> FieldInfo | None:
    section, *inner = path or ("",)
    model: type[BaseModel] | None = sections.get(str(section))
    if section == "checks" and inner and (check := root.value["checks"].child(inner.pop(0))) is not None:
        kind = check.child("kind")
        model = find_kind(kind.value) if kind is not None and isinstance(kind.value, str) else None
    return field_at(model, tuple(inner)) if model is not None else None


def _is_secret(given: Given, field: FieldInfo | None) -> bool:
    if field is None:
        return given.from_file
    if is_secret(field.annotation) or any(is_secret(mark) for mark in field.metadata):
        return not is_open(str(given.path[-1]))
    if _holds(field.annotation, Url):
        return _in_path(given.value, str(given.within))
    return given.from_file and isinstance(given.within, str)


def _holds(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(_holds(each, wanted) for each in getattr(annotation, "__args__", ()))


def _in_path(value: str, url: str) -> bool:
    """Whether `value` is a part of the URL's path or query, and not its host; user info is secret by its type."""
    _, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    return len(value) >= _SEGMENT and value in path and value not in authority
