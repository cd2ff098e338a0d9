"""`otelhealth probe`: one quick question to a running agent, for Docker's HEALTHCHECK. Standard library only."""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import sys
from urllib.parse import SplitResult, urlsplit

DEFAULT_LISTEN = "127.0.0.1:8082"
GOOD = ("healthy", "degraded")
_MOST = 65536  # bytes of a response


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", nargs="?", help="where to ask; default: /health on the address of `server.listen`")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="SECONDS", help="default 5")


def default_url() -> str:
    """`/health` where `OTELHEALTH_SERVER__LISTEN` says, or on the default address; all interfaces mean loopback."""
    host, _, port = os.environ.get("OTELHEALTH_SERVER__LISTEN", DEFAULT_LISTEN).rpartition(":")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    return f"http://{host}:{port}/health"


def ask(url: str, timeout: float) -> tuple[bool, str]:
    """Whether the agent there is healthy or degraded, and what it said. Raises OSError or ValueError."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not a URL; write one such as http://{DEFAULT_LISTEN}/health")
    code, body = _get(parts, parts.hostname, timeout)
    try:
        status = str(json.loads(body)["status"])
    except (ValueError, KeyError, TypeError):
        good = 200 <= code < 300
        return good, f"HTTP {code}" if good else f"{url}: HTTP {code}, by no otelhealth"
    return status in (*GOOD, "alive", "ready") and code == 200, status


def _get(url: SplitResult, host: str, timeout: float) -> tuple[int, bytes]:
    """The status and the body, by HTTP/1.0: with `http.client` each HEALTHCHECK would cost half as much again."""
    path = url.path if url.path not in ("", "/") else "/health"
    if not re.fullmatch("[!-~]+", path + url.netloc):
        raise ValueError("a URL holds printable ASCII only")
    request = f"GET {path} HTTP/1.0\r\nhost: {url.netloc.rpartition('@')[2]}\r\n\r\n"
    with _connection(url, host, timeout) as wire, wire.makefile("rb") as reader:
        wire.sendall(request.encode())
        head, _, body = reader.read(_MOST).partition(b"\r\n\r\n")
    if not (status := re.match(rb"HTTP/1\.[01] ([0-9]{3})\b", head)):
        raise ValueError("no answer in HTTP")
    return int(status[1]), body


def _connection(url: SplitResult, host: str, timeout: float) -> socket.socket:
    if url.scheme == "http":
        return socket.create_connection((host, url.port or 80), timeout)
    import ssl  # noqa: PLC0415 - 6 ms that few ask for

    tls, plain = ssl.create_default_context(), socket.create_connection((host, url.port or 443), timeout)
    return tls.wrap_socket(plain, server_hostname=host)


def run(arguments: argparse.Namespace) -> int:
    url = arguments.url or default_url()
    try:
        good, word = ask(url, arguments.timeout)
    except (OSError, ValueError) as error:
        said = getattr(error, "strerror", None) or error or type(error).__name__
        said = " ".join(str(said).split())
        print(f"{url}: {said}; is `otelhealth run` there? else: otelhealth probe URL", file=sys.stderr)
        return 1
    print(word)
    return 0 if good else 1
