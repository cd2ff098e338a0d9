"""What a request and its end say, as semantic conventions 1.44 name it: read from the ASGI scope, bounded, redacted."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from functools import lru_cache
from urllib.parse import unquote_plus

from opentelemetry.util.types import AttributeValue
from starlette.types import Scope

from otelhealth.probes import is_prober
from otelhealth.telemetry import application as told

OTHER = "_OTHER"
_MOST = 2048  # characters of what a client says
_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
_PORTS = {"http": 80, "ws": 80, "https": 443, "wss": 443}
_AUTHORITY = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^:@/?#\[\]\s]+))(?::(\d{1,5}))?")
_REDACTED = "REDACTED"
# keys of a query, in lower case and without marks: those of the conventions, and what users call their secrets
_SECRET = frozenset(
    {"auth", "authorization", "code", "jwt", "key", "pass", "passwd", "pwd", "session", "sig", "ticket"}
)
_SECRET_ENDS = (
    *("accesskeyid", "apikey", "credential", "credentials", "password"),
    *("secret", "sessionid", "signature", "token"),
)
_MARKS = str.maketrans("", "", "-_.")


def known_methods(environ: Mapping[str, str] = os.environ) -> frozenset[str]:
    """Those of the conventions, or the list in OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS instead."""
    named = environ.get("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS", "")
    return frozenset(filter(None, (name.strip() for name in named.split(",")))) or _METHODS


def route_path(scope: Scope) -> str:
    """The path without the root that the server was told of."""
    path: str = scope["path"]
    root = scope.get("root_path", "").rstrip("/")
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


@lru_cache(256)
def authority(host: bytes) -> tuple[str, int | None]:
    """Name and port of a Host header; ("", None) for one that is none."""
    match = _AUTHORITY.fullmatch(host.decode("latin-1"))
    if match is None or len(host) > 300:
        return "", None
    return match[1] or match[2], int(match[3]) if match[3] else None


def redacted_query(query: bytes) -> str:
    """A query without the values of keys that hold secrets, everything else as it came."""
    text = query[:_MOST].decode("latin-1")
    pairs = [pair.partition("=") for pair in text.split("&")]
    if not any(_is_secret(key) for key, _, _ in pairs):
        return text
    return "&".join(
        f"{key}={_REDACTED}" if mark and _is_secret(key) else key + mark + value for key, mark, value in pairs
    )


def _is_secret(key: str) -> bool:
    plain = (unquote_plus(key) if "%" in key else key).lower().translate(_MARKS)
    return plain in _SECRET or plain.endswith(_SECRET_ENDS)


def of_request(scope: Scope, host: bytes, agent: bytes) -> dict[str, AttributeValue]:
    """What a span begins with; for a WebSocket too. `host` and `agent` are the values of these headers."""
    scheme = scope.get("scheme", "http")
    begun: dict[str, AttributeValue] = {told.SCHEME: scheme, "url.path": scope["path"][:_MOST]}
    if query := scope.get("query_string"):
        begun["url.query"] = redacted_query(query)
    name, port = authority(host) if host else (scope.get("server") or ("", None))
    if name:
        begun["server.address"] = name
        if port := port or _PORTS.get(scheme):
            begun["server.port"] = port
    if client := scope.get("client"):
        begun["client.address"] = client[0]
        if client[1]:
            begun["client.port"] = client[1]
    if version := scope.get("http_version"):
        begun[told.VERSION] = version
    if agent:
        begun[told.AGENT] = agent[:_MOST].decode("latin-1")
        if is_prober(agent):
            begun[told.SYNTHETIC] = "test"
    return begun


def is_leaving(error: BaseException) -> bool:
    """What a framework raises, or its server does to it, because the client is gone."""
    return isinstance(error, (asyncio.CancelledError, OSError)) or "Disconnect" in type(error).__name__
