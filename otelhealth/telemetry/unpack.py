"""Unpacks what was received, never to more than it may be."""

from __future__ import annotations

import zlib

_MEMBERS = 10  # of one gzip body; senders make one


class TooLargeError(ValueError):
    """A small body that unpacks to a large one."""


def unpacked(body: bytes, encoding: str, most: int) -> bytes:
    """The body without its gzip; ValueError where it is none, TooLargeError above `most` bytes."""
    if encoding != "gzip":
        return body
    parts, left = [], most
    for _ in range(_MEMBERS):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            part = unpacker.decompress(body, left + 1)
        except zlib.error:
            raise ValueError("the body is not gzip, though its content-encoding says so") from None
        if len(part) > left:
            raise TooLargeError
        if not unpacker.eof:
            raise ValueError("the gzip of the body is cut off")
        parts.append(part)
        left -= len(part)
        body = unpacker.unused_data
        if not body:
            return b"".join(parts)
    raise ValueError("the gzip of the body has too many members")
