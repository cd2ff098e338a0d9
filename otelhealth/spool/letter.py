"""One encoded export request that waits, and what the spool asks of those who know what is inside."""

from __future__ import annotations

import zlib
from typing import NamedTuple, Protocol

from otelhealth.spool.settings import SignalName
from otelhealth.units import size_text

GZIP = "gzip"
PROTOBUF_TYPE = "application/x-protobuf"
_MOST_PLAIN = 64 * 2**20  # bytes that a compressed body may unpack to
_MEMBERS = 10  # of one gzip body; senders make one


class TooLargeError(ValueError):
    """A small body that unpacks to a large one."""


class Letter(NamedTuple):
    """A request as it is sent: the body is encoded as its content type and encoding say. The spool gives the rest."""

    signal: SignalName
    body: bytes
    content_type: str = PROTOBUF_TYPE
    content_encoding: str = ""
    items: int = 0  # spans, points or records; 0 where nobody has counted them
    received: bool = False  # taken from another program: never dropped for want of room
    number: int = 0  # its place in the queue
    at: float = 0.0  # when it came, in seconds of the spool's own clock

    def plain(self, most: int = _MOST_PLAIN) -> Letter:
        """The same without compression; ValueError where it cannot be unpacked, TooLargeError above `most` bytes."""
        if self.content_encoding != GZIP:
            return self
        return self._replace(body=_unpacked(self.body, most), content_encoding="")

    def packed(self) -> Letter:
        """The same compressed with gzip.

        Level 1: OTLP repeats itself, so it is near the size of level 6 at a third of its time. The window is no larger
        than the body: to prepare a full one takes ten times as long as to pack the few spans of a second.
        """
        bits = min(15, max(9, len(self.body).bit_length()))
        packer = zlib.compressobj(1, zlib.DEFLATED, 16 + bits, bits - 7)
        return self._replace(body=packer.compress(self.body) + packer.flush(), content_encoding=GZIP)


def _unpacked(body: bytes, most: int) -> bytes:
    parts, left = [], most
    for _ in range(_MEMBERS):
        unpacker = zlib.decompressobj(wbits=31)
        try:
            part = unpacker.decompress(body, left + 1)
        except zlib.error:
            raise ValueError("the body is not gzip, though its content-encoding says so") from None
        if len(part) > left:
            raise TooLargeError(f"the body unpacks to more than {size_text(most)}")
        if not unpacker.eof:
            raise ValueError("the gzip of the body is cut off")
        parts.append(part)
        left -= len(part)
        body = unpacker.unused_data
        if not body:
            return b"".join(parts)
    raise ValueError("the gzip of the body has too many members")


class Content(Protocol):
    """What is inside of requests and responses. None of it raises."""

    def count(self, letter: Letter) -> int:
        """Its items; 1 where it cannot be read."""
        ...

    def halves(self, letter: Letter) -> tuple[Letter, ...]:
        """The same items in two requests; none where it holds a single one, or cannot be read."""
        ...

    def rejected(self, content_type: str, response: bytes) -> tuple[int, str]:
        """(items, reason) of a partial success; (0, "") when all was taken."""
        ...

    def reason(self, content_type: str, response: bytes) -> str:
        """What the receiver says of a refusal; "" where it says nothing."""
        ...
