"""Responses of OTLP/HTTP: an empty one where a request was taken, a google.rpc.Status where it was not."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from otelhealth.server.responses import JSON, Response, encode
from otelhealth.telemetry.wire import integer, text

PROTOBUF = b"application/x-protobuf"
_TAKEN = {PROTOBUF: Response(200, b"", PROTOBUF), JSON: Response(200, b"{}", JSON)}
_CODES = {401: 16, 403: 7, 404: 5, 405: 12, 408: 4, 429: 8, 500: 13, 503: 14}  # of gRPC; 3 is an invalid argument
_ENDED = {
    400: "this is no HTTP/1.1 request; send one at a time, without TLS",
    408: "the request did not come in time; see telemetry.receive.limits",
    413: "the body is larger than telemetry.receive.limits.body_size, or comes in chunks of a few bytes",
    431: "the headers are larger than telemetry.receive.limits.header_size",
}


class Refusal(NamedTuple):
    """Why a request is not taken; its sender may try again after `wait` seconds, never where that is 0."""

    status: int
    sentence: str
    wait: int = 0
    extra: tuple[tuple[bytes, bytes], ...] = ()


def header(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> bytes:
    """The first of that name, b"" where there is none."""
    return next((value.strip() for name, value in headers if name == wanted), b"")


def media_type(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Of the request's body, lower case and without its parameters."""
    return header(headers, b"content-type").partition(b";")[0].strip().lower()


def taken(media: bytes) -> Response:
    return _TAKEN[media]


def refused(refusal: Refusal, media: bytes) -> Response:
    """In the encoding of the request, in JSON where that is another."""
    code = _CODES.get(refusal.status, 3)
    extra = [*refusal.extra, *([(b"retry-after", b"%d" % refusal.wait)] if refusal.wait else [])]
    if media == PROTOBUF:
        return Response(refusal.status, integer(1, code) + text(2, refusal.sentence), PROTOBUF, extra)
    return Response(refusal.status, encode({"code": code, "message": refusal.sentence}), JSON, extra)


def ended(status: int) -> Refusal:
    """What a connection is told that goes too far for an application to answer it."""
    return Refusal(status, _ENDED[status])
