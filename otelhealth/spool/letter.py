"""One encoded export request that waits, and what the spool asks of those who know what is inside."""

from __future__ import annotations

import zlib
from typing import NamedTuple, Protocol

from otelhealth.errors import OtelHealthError
from otelhealth.spool.settings import SignalName

GZIP = "gzip"
PROTOBUF_TYPE = "application/x-protobuf"
_MOST_PLAIN = 64 * 2**20  # bytes that a compressed body may unpack to


class SpoolFullError(OtelHealthError):
    """There is no room for a request that was received: its sender is to try again later."""


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

    def plain(self) -> Letter:
        """The same without compression; ValueError where it cannot be unpacked."""
        if self.content_encoding != GZIP:
            return self
        unpacker = zlib.decompressobj(wbits=31)
        try:
            body = unpacker.decompress(self.body, _MOST_PLAIN)
        except zlib.error as error:
            raise ValueError(f"the body is not gzip: {error}") from error
        if not unpacker.eof:
            raise ValueError("the body is cut off, or unpacks to more than 64 MiB")
        return self._replace(body=body, content_encoding="")

    def packed(self) -> Letter:
        """The same compressed with gzip.

        Level 1: OTLP repeats itself, so it is near the size of level 6 at a third of its time. The window is no larger
        than the body: to prepare a full one takes ten times as long as to pack the few spans of a second.
        """
        bits = min(15, max(9, len(self.body).bit_length()))
        packer = zlib.compressobj(1, zlib.DEFLATED, 16 + bits, bits - 7)
        return self._replace(body=packer.compress(self.body) + packer.flush(), content_encoding=GZIP)


class Content(Protocol):
    """What is inside of requests and answers. None of it raises."""

    def count(self, letter: Letter) -> int:
        """Its items; 1 where it cannot be read."""
        ...

    def halves(self, letter: Letter) -> tuple[Letter, ...]:
        """The same items in two requests; none where it holds a single one, or cannot be read."""
        ...

    def rejected(self, content_type: str, answer: bytes) -> tuple[int, str]:
        """(items, reason) of a partial success; (0, "") when all was taken."""
        ...

    def reason(self, content_type: str, answer: bytes) -> str:
        """What the receiver says of a refusal; "" where it says nothing."""
        ...
