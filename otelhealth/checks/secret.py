"""Which of a setting's values are secret, by their types: every SecretStr, and what a URL hides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import BaseModel, SecretStr

from otelhealth.checks.request import OF_ANY_ORIGIN
from otelhealth.checks.url import Url

_WORD = 8  # characters


class Sensitive:
    """Marks a type, by `Annotated`, whose values are told, but are secret where a variable or file gives them."""


SENSITIVE = Sensitive()
Wanted = Annotated[str, SENSITIVE]  # what an answer is compared with


def secrets_of(settings: BaseModel) -> Iterator[str]:
    """Every secret value in `settings`, whatever its length."""
    for name in _bearing(type(settings)):
        yield from _of(getattr(settings, name))


def is_secret(annotation: Any) -> bool:
    """Whether what a variable or file gives to a value of this type is secret."""
    return annotation in (SecretStr, SENSITIVE) or any(is_secret(argument) for argument in get_args(annotation))


def is_open(header: str) -> bool:
    """Whether a header is one that browsers send to any origin, and holds no credential: `accept`, `user-agent`."""
    return header.lower() in OF_ANY_ORIGIN


@cache
def _bearing(model: type[BaseModel]) -> tuple[str, ...]:
    """The fields below which a secret may stand."""
    return tuple(name for name, field in model.model_fields.items() if _bears(field.annotation))


def _bears(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return bool(_bearing(annotation))
    return annotation in (SecretStr, Url) or any(_bears(argument) for argument in get_args(annotation))


def _of(value: object) -> Iterator[str]:
    if isinstance(value, SecretStr):
        yield value.get_secret_value()
    elif isinstance(value, Url):
        yield from value.secrets
    elif isinstance(value, BaseModel):
        yield from secrets_of(value)
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if isinstance(each, SecretStr):
                yield from () if is_open(str(key)) else _credentials(each.get_secret_value())
            else:
                yield from _of(each)
    elif isinstance(value, (tuple, list, frozenset)):
        for each in value:
            yield from _of(each)


def _credentials(header: str) -> Iterable[str]:
    """The words of a header's value that are as long as tokens are, else the whole: of `Bearer TOKEN` the token."""
    return [word for word in header.split() if len(word) >= _WORD] or (header,)
