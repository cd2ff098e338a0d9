"""Reads protobuf messages field by field, without their descriptions and without the protobuf library.

What comes from outside is never trusted: a message that is not whole is a ValueError, and a walk has its last step.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator

VARINT, EIGHT, BYTES, FOUR = 0, 1, 2, 5  # wire types
_LAST_FIELD = 2**29 - 1
_DOUBLE, _FIXED64 = struct.Struct("<d").unpack, struct.Struct("<Q").unpack
Data = bytes | memoryview  # large ones are not copied, small ones are faster to read as bytes
Field = tuple[int, int, Data]  # number, wire type, the value's own bytes


class TooLongError(Exception):
    """The walk took all of its steps: the message may be sound, and nobody waits for its end."""


class Walk:
    """Goes through messages for at most so many fields."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def fields(self, message: Data) -> Iterator[Field]:
        """Each field of a message in its order; raises ValueError where it is cut off or no protobuf."""
        at, end = 0, len(message)
        while at < end:
            self._left -= 1
            if self._left < 0:
                raise TooLongError
            key = message[at]
            at += 1
            if key > 127:  # seldom: spare the call where it is not
                key, at = varint(message, at - 1)
            kind, start = key & 7, at
            if kind == BYTES:
                size, start = varint(message, at)
                at = start + size
            elif kind == VARINT:
                at = varint(message, at)[1]
            elif kind in (EIGHT, FOUR):
                at += 8 if kind == EIGHT else 4
            else:
                raise ValueError(f"there is no wire type {kind}")
            if at > end:
                raise ValueError("a field reaches beyond its message")
            if not 0 < key >> 3 <= _LAST_FIELD:
                raise ValueError(f"there is no field {key >> 3}")
            yield key >> 3, kind, message[start:at]

    def messages(self, message: Data, number: int) -> Iterator[Data]:
        """Those in field `number` of a message; ValueError also where something else is there."""
        for found, kind, value in self.fields(message):
            if found == number:
                yield _expected(number, kind, BYTES, value)

    def step(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise TooLongError


class Message:
    """A small message, all of whose fields are wanted. ValueError where a field is not of the type it is asked for."""

    def __init__(self, walk: Walk, message: Data) -> None:
        self._walk = walk
        self._fields: defaultdict[int, list[tuple[int, Data]]] = defaultdict(list)
        for number, kind, value in walk.fields(message):
            self._fields[number].append((kind, value))

    def __contains__(self, number: int) -> bool:
        return number in self._fields

    def messages(self, number: int) -> list[Data]:
        return [_expected(number, kind, BYTES, value) for kind, value in self._fields.get(number, ())]

    def message(self, number: int) -> Data:
        """The last one, as of any field that stands there twice; an empty one where there is none."""
        return self._last(number, BYTES) or b""

    def text(self, number: int) -> str:
        """What is no UTF-8 is replaced."""
        return bytes(self.message(number)).decode("utf-8", "replace")

    def integer(self, number: int) -> int:
        """An unsigned or an enum; 0 where there is none."""
        value = self._last(number, VARINT)
        return 0 if value is None else varint(value, 0)[0]

    def int64(self, number: int) -> int:
        found = self.integer(number)
        return found - 2**64 if found >= 2**63 else found

    def sint32(self, number: int) -> int:
        found = self.integer(number)
        return found >> 1 ^ -(found & 1)

    def fixed64(self, number: int) -> int:
        value = self._last(number, EIGHT)
        return 0 if value is None else int(_FIXED64(value)[0])

    def double(self, number: int) -> float | None:
        value = self._last(number, EIGHT)
        return None if value is None else float(_DOUBLE(value)[0])

    def doubles(self, number: int) -> tuple[float, ...]:
        whole = self._list(number)
        return struct.unpack(f"<{len(whole) // 8}d", whole)

    def fixed64s(self, number: int) -> tuple[int, ...]:
        whole = self._list(number)
        return struct.unpack(f"<{len(whole) // 8}Q", whole)

    def integers(self, number: int) -> tuple[int, ...]:
        """Of a list of varints, packed or not."""
        found = []
        for kind, value in self._fields.get(number, ()):
            at = 0
            _expected(number, VARINT if kind == VARINT else BYTES, kind, value)
            while at < len(value):
                self._walk.step()
                one, at = varint(value, at)
                found.append(one)
        return tuple(found)

    def _list(self, number: int) -> bytes:
        """Numbers of eight bytes, packed or not."""
        whole = b"".join(
            [
                _expected(number, EIGHT if kind == EIGHT else BYTES, kind, value)
                for kind, value in self._fields.get(number, ())
            ]
        )
        if len(whole) % 8:
            raise ValueError(f"a number of field {number} is cut off")
        return whole

    def _last(self, number: int, wanted: int) -> Data | None:
        found = self._fields.get(number)
        return _expected(number, found[-1][0], wanted, found[-1][1]) if found else None


def _expected(number: int, kind: int, wanted: int, value: Data) -> Data:
    if kind != wanted:
        raise ValueError(f"field {number} is of wire type {kind}, not {wanted}")
    return value


def varint(message: Data, at: int) -> tuple[int, int]:
    """(number, where it ends)."""
    shift = result = 0
    try:
        while (byte := message[at]) > 127:
            result |= (byte & 127) << shift
            shift += 7
            at += 1
            if shift > 63:
                raise ValueError("a number has more than 64 bits")
    except IndexError:
        raise ValueError("a number is cut off") from None
    return (result | byte << shift) & 0xFFFFFFFFFFFFFFFF, at + 1
