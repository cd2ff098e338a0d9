"""`otelhealth probe`: one quick question to a running agent, for Docker's HEALTHCHECK. Standard library only."""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
from urllib.parse import urlsplit

DEFAULT_LISTEN = "127.0.0.1:8082"
GOOD = ("healthy", "degraded")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("url", nargs="?", help="where to ask; default: /health on the address of `server.listen`")
    parser.add_argument("--timeout", type=float, default=5.0, metavar="SECONDS", help="default 5")


def default_url() -> str:
    """`/health` where `OTELHEALTH_SERVER__LISTEN` says, or on the default address; all interfaces mean loopback."""
    host, _, port = os.environ.get("OTELHEALTH_SERVER__LISTEN", DEFAULT_LISTEN).rpartition(":")
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    return f"http://{host}:{port}/health"


def ask(url: str, timeout: float) -> tuple[bool, str]:
    """Whether the agent there is healthy or degraded, and what it said. Raises OSError, ValueError, HTTPException."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is not a URL; write one such as http://{DEFAULT_LISTEN}/health")
    wire = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = wire(parts.hostname, parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path if parts.path not in ("", "/") else "/health")
        response = connection.getresponse()
        body = response.read(65536)
        code = response.status
    finally:
        connection.close()
    try:
        status = str(json.loads(body)["status"])
    except (ValueError, KeyError, TypeError):
        good = 200 <= code < 300
        return good, f"HTTP {code}" if good else f"{url}: HTTP {code}, by no otelhealth"
    return status in (*GOOD, "alive", "ready") and code == 200, status


def run(arguments: argparse.Namespace) -> int:
    url = arguments.url or default_url()
    try:
        good, word = ask(url, arguments.timeout)
    except (OSError, ValueError, http.client.HTTPException) as error:
        said = getattr(error, "strerror", None) or error or type(error).__name__
        said = " ".join(str(said).split())
        print(f"{url}: {said}; is `otelhealth run` there? else: otelhealth probe URL", file=sys.stderr)
        return 1
    print(word)
    return 0 if good else 1
