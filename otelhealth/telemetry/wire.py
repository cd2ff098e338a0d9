"""OTLP's protobuf, written by hand: the agent's own signals leave without the SDK's objects and the protobuf library.

Every message of ours is known beforehand, so a field is a constant tag and a value; readers of OTLP decode it as usual.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from otelhealth.telemetry.fields import BYTES, Data

NANO = 1_000_000_000  # OTLP tells times in ns
K = TypeVar("K")
_DOUBLE = struct.Struct("<d").pack
_FIXED64 = struct.Struct("<Q").pack
_VALUE = b"\x12"  # KeyValue.value
_CACHE_SIZE = 8192
_SMALL = tuple(bytes((number,)) for number in range(128))

_keys: dict[str, bytes] = {}
_repeated: dict[type, dict[tuple[int, str, Any], bytes]] = {str: {}, int: {}}
_before_doubles: dict[tuple[int, str], bytes] = {}


def varint(number: int) -> bytes:
    """A non-negative integer, seven bits a byte."""
    if number < 128:
        return _SMALL[number]
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(number: int, wire_type: int) -> bytes:
    return varint(number << 3 | wire_type)


def field(number: int, wire_type: int, value: Data) -> bytes:
    """As it was read: the value's own bytes behind their tag."""
    return tag(number, wire_type) + (varint(len(value)) if wire_type == BYTES else b"") + value


def message(number: int, payload: bytes) -> bytes:
    """A field of any length: a message, bytes, or encoded text."""
    return tag(number, 2) + varint(len(payload)) + payload


def text(number: int, value: str) -> bytes:
    # a lone surrogate (a file name of other encoding) must not cost the whole request
    return message(number, value.encode("utf-8", "replace"))


def integer(number: int, value: int) -> bytes:
    return tag(number, 0) + varint(value & 0xFFFFFFFFFFFFFFFF)


def double(number: int, value: float) -> bytes:
    return tag(number, 1) + _DOUBLE(value)


def fixed64(number: int, value: int) -> bytes:
    return tag(number, 1) + _FIXED64(value)


def any_value(value: object) -> bytes:  # noqa: PLR0911 - one per type
    """AnyValue of an attribute or a log body; what OTLP has no type for leaves as its text."""
    if isinstance(value, str):
        return text(1, value)
    if isinstance(value, bool):
        return integer(2, value)
    if isinstance(value, int):
        return integer(3, value)
    if isinstance(value, float):
        return double(4, value)
    if isinstance(value, bytes):
        return message(7, value)
    if isinstance(value, Mapping):
        return message(6, b"".join(attribute(1, str(key), item) for key, item in value.items()))
    if isinstance(value, Sequence):
        return message(5, b"".join(message(1, any_value(item)) for item in value))
    return b"" if value is None else text(1, str(value))


def attribute(number: int, key: str, value: object) -> bytes:
    """A KeyValue in field `number`. Texts and whole numbers repeat from run to run and are kept encoded."""
    kept = _repeated.get(type(value))
    if kept is not None:
        return kept.get((number, key, value)) or _keep(kept, (number, key, value), _key_value(number, key, value))
    if type(value) is float:
        return (_before_doubles.get((number, key)) or _before_double(number, key)) + _DOUBLE(value)
    return _key_value(number, key, value)


def _key_value(number: int, key: str, value: object) -> bytes:
    name = _keys.get(key) or _keep(_keys, key, text(1, key))
    encoded = any_value(value)
    return message(number, name + _VALUE + varint(len(encoded)) + encoded)


def _before_double(number: int, key: str) -> bytes:
    return _keep(_before_doubles, (number, key), _key_value(number, key, 0.0)[:-8])


def _keep(cache: dict[K, bytes], key: K, encoded: bytes) -> bytes:
    if len(cache) >= _CACHE_SIZE:
        cache.clear()
    cache[key] = encoded
    return encoded


def attributes(number: int, pairs: Iterable[tuple[str, Any]]) -> bytes:
    return b"".join([attribute(number, key, value) for key, value in pairs])


class Scoped(NamedTuple):
    """An item of another scope than its envelope's: a log record's scope is its logger."""

    scope: str
    item: bytes


class Envelope:
    """What stands around the items of one export request: all three signals nest resource, scope and items alike."""

    __slots__ = ("_resource", "_scope")

    def __init__(self, resource: Mapping[str, object], scope: str, version: str) -> None:
        self._resource = message(1, attributes(1, resource.items()))
        self._scope = message(1, text(1, scope) + text(2, version))

    def request(self, items: Iterable[bytes | Scoped]) -> bytes:
        """An Export{Trace,Metrics,Logs}ServiceRequest of `items`, each already a field 2 of its scope."""
        own: list[bytes] = []
        others: dict[str, list[bytes]] = {}
        for item in items:
            if isinstance(item, Scoped):
                others.setdefault(item.scope, []).append(item.item)
            else:
                own.append(item)
        scopes = [self._scope + b"".join(own)] if own or not others else []
        scopes += [message(1, text(1, name)) + b"".join(found) for name, found in others.items()]
        return message(1, self._resource + b"".join([message(2, scope) for scope in scopes]))
