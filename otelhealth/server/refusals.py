"""What a connection is told that goes too far for any application to answer it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from otelhealth.server.responses import Response, refusal

_PHRASES = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
}
_SENTENCES = {
    400: ("this is no HTTP/1.1 request that is served here", "send one at a time, without TLS"),
    408: ("the request did not come in time", "send it whole and at once"),
    413: ("the body is too large", "send none: nothing here wants one"),
    431: ("the headers are too large", "send fewer and shorter ones"),
}
Refuse = Callable[[int, Iterable[tuple[bytes, bytes]]], Response]  # (one of _PHRASES, the headers that came)


def plainly(status: int, _headers: Iterable[tuple[bytes, bytes]]) -> Response:
    """What a client of the health endpoints is told."""
    return refusal(status, *_SENTENCES[status])


def whole(response: Response) -> bytes:
    """A refusal as it goes over the wire."""
    status = response.status_code
    headers = [*response.raw_headers, (b"connection", b"close")]
    lines = [b"HTTP/1.1 %d %s" % (status, _PHRASES[status].encode()), *(b": ".join(pair) for pair in headers)]
    return b"\r\n".join((*lines, b"", bytes(response.body)))
