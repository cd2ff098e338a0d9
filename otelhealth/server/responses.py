"""JSON responses as ASGI messages: encoded once, never cached by others, errors as a sentence with its remedy."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from starlette import responses
from starlette.types import Receive, Scope, Send

from otelhealth.plain import finite

Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
HEALTH_JSON = b"application/health+json"
_BATCH = 100  # checks encoded before others get their turn: about a millisecond


def encode(value: Any) -> bytes:
    """Compact JSON in UTF-8; what JSON does not know becomes text, a number that is none becomes null."""
    try:
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str)
    except ValueError:
        text = json.dumps(finite(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "replace")


async def encode_slowly(value: Mapping[str, Any], key: str) -> bytes:
    """As `encode`, but lets others run between the items of `value[key]`, of which there may be 10,000."""
    parts = []
    items = list(value[key].items())
    for start in range(0, len(items), _BATCH):
        parts.append(encode(dict(items[start : start + _BATCH]))[1:-1])
        await asyncio.sleep(0)
    head = encode({name: item for name, item in value.items() if name != key})
    return b"".join((head[:-1], b"," if len(head) > 2 else b"", encode(key), b":{", b",".join(parts), b"}}"))


class Response(responses.Response):
    """One response. May be sent any number of times."""

    def __init__(self, status: int, body: bytes, content_type: bytes = JSON, extra: Headers | None = None) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = [
            (b"content-type", content_type),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            *(extra or ()),
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        # fresh objects each time: a middleware of a host application may change them
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers.copy()})
        await send({"type": "http.response.body", "body": self.body})


def refusal(status: int, sentence: str, remedy: str, extra: Headers | None = None) -> Response:
    """`{"error": sentence, "remedy": what to do}`."""
    return Response(status, encode({"error": sentence, "remedy": remedy}), JSON, extra)


def content_type(scope: Scope) -> bytes:
    """`application/health+json` where the client names it, else `application/json`."""
    for name, value in scope["headers"]:
        if name == b"accept" and HEALTH_JSON in value:
            return HEALTH_JSON
    return JSON
