"""A target that echoes all it is sent, an agent whose configuration is full of secrets, and a search for them."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.kinds.loopback import read_request

# Each is told apart from all others, and none is part of another.
SECRETS = {
    "header": "hdr-4f1c9a7e55d0",
    "bearer": "brr-0c55ab12e9f7-" + "qwertzuiop" * 12,
    "body": "bdy-99e1c7d2a0b4",
    "user": "usr-71b2e8f3c6d9",
    "query": "qry-5d8e2f7a1c3b6e90",
    "path": "pth-3e6f9a2b5c8d",
    "text": "txt-8a1b4c7d0e3f",
    "regex": "rgx-2b5e8a1d4c7f",
    "pattern": "ptn-6c9f2e5b8a1d",
    "json": "jsn-1d4a7c0f3e6b",
    "sent": "snt-7e0b3c6f9a2d",
    "answer": "ans-4a7d0f3b6e9c",
    "name": "nam-9b2d5f8c1e4a",
    "file": "fil-0f3c6a9d2e5b",
    "token": "tkn-3a6c9e2f5b8d0a1c",
    "otlp": "otl-8d1e4b7f0c3a",
}
ENVIRON = {f"PLANTED_{name.upper()}": value for name, value in SECRETS.items() if name != "file"}

_DULL = (b"Host:", b"User-Agent:", b"Accept:", b"traceparent:", b"Content-Length:", b"Connection:")


async def echo_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with the request in a header and in the body; an asked-for redirect leads to a path that holds it too."""
    request = await read_request(reader)
    target = request.split(b" ", 2)[1]
    request = re.sub(rb"(?<=Authorization: )Basic (\S+)", lambda basic: base64.b64decode(basic[1]), request)
    flat = b" ".join(line for line in request.split(b"\r\n") if line and not line.startswith(_DULL))
    if target.startswith(b"/redirect"):
        head = b"HTTP/1.1 302 Found\r\nlocation: /gone/" + target.rpartition(b"/")[2] + b"\r\n"
    else:
        head = b"HTTP/1.1 500 Oh\r\nx-echo: " + flat[:4000] + b"\r\n"
    body = b'{"echo": "' + flat.replace(b"\\", b"").replace(b'"', b"'") + b'"}'
    writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
    await writer.drain()


async def echo_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says again whatever it is told, at length."""
    while data := await reader.read(4096):
        writer.write(b"you said " + b"." * 300 + data + b"!")


def checks(http: int, tcp: int, folder: Path) -> dict[str, Any]:
    """One check for each place that a secret may stand in, each of which tells what the target echoes."""
    base = f"http://127.0.0.1:{http}"
    (folder / "secret").write_text(SECRETS["file"] + "\n")
    (folder / "planted.py").write_text(
        "import os\nsecret = os.environ['PLANTED_HEADER']\n"
        "def raises(): raise LookupError('no ' + secret)\ndef tells():\n"
        "    return {'status': 'fail', 'message': 'got ' + secret, 'error_type': secret,\n"
        "            'details': {'deep': [{secret: secret}]}, 'measurements': {'m.' + secret: 1}}\n"
    )
    sent = {
        "headers": {"x-key": "${env:PLANTED_HEADER}", "authorization": "Bearer ${env:PLANTED_BEARER}"},
    }
    posted = {"method": "POST", "body": '{"password": "${env:PLANTED_BODY}"}'}
    wanted: dict[str, Any] = {"status": [200, 500]}
    echoed = wanted | {"json": {"$.echo": "nothing"}}
    found: dict[str, Any] = {
        "echo": {"kind": "http", "url": base, **sent, "expect": echoed},
        "echo-header": {"kind": "http", "url": base, **sent, "expect": wanted | {"headers": {"x-echo": "^nothing$"}}},
        "version": {"kind": "http", "url": base, **sent, "version": "$.echo"},
        "user": {"kind": "http", "url": f"http://me:${{env:PLANTED_USER}}@127.0.0.1:{http}/", "expect": echoed},
        "query": {"kind": "http", "url": f"{base}/?k=${{env:PLANTED_QUERY}}", "expect": echoed},
        "body": {"kind": "http", "url": base, **posted, "expect": echoed},
        "path": {"kind": "http", "url": f"{base}/redirect/${{env:PLANTED_PATH}}"},
        "text": {"kind": "http", "url": base, "expect": wanted | {"text": "a ${env:PLANTED_TEXT} b"}},
        "regex": {"kind": "http", "url": base, "expect": wanted | {"regex": "^${env:PLANTED_REGEX}$"}},
        "pattern": {"kind": "http", "url": base, "expect": wanted | {"headers": {"x-echo": "${env:PLANTED_PATTERN}"}}},
        "json": {"kind": "http", "url": base, "expect": wanted | {"json": {"$.echo": "${env:PLANTED_JSON}"}}},
        "file": {"kind": "http", "url": base, "expect": wanted | {"text": "${file:secret}"}},
        "dialogue": {"kind": "tcp", "host": "127.0.0.1", "port": tcp, "send": "${env:PLANTED_SENT}", "expect": "!"},
        "answer": {
            "kind": "tcp", "host": "127.0.0.1", "port": tcp, "send": "${env:PLANTED_ANSWER}",
            "expect": "${env:PLANTED_ANSWER}",
        },
        "name": {"kind": "dns", "query": "localhost.test", "server": "127.0.0.1:1",
                 "expect": {"answers": ["${env:PLANTED_NAME}"]}},
        "raises": {"kind": "python", "call": "planted:raises"},
        "tells": {"kind": "python", "call": "planted:tells"},
    }  # fmt: skip
    return {name: {"every": "300ms", "timeout": "2s", **check} for name, check in found.items()}


def settings(folder: Path, http: int, tcp: int, endpoint: str, **sections: Any) -> dict[str, Any]:
    return {
        "service": {"name": "shop"},
        "server": {"listen": "127.0.0.1:0", "auth": {"tokens": ["${env:PLANTED_TOKEN}"]}},
        "store": {"path": str(folder / "store.db")},
        "telemetry": {
            "otlp": {"endpoint": endpoint, "headers": {"api-key": "${env:PLANTED_OTLP}"}},
            "metrics": {"interval": "300ms"},
        },
        "defaults": {"threshold": {"max_consecutive_failures": 2}},
        "checks": checks(http, tcp, folder),
        **sections,
    }


def leaks(told: Mapping[str, bytes | str]) -> list[str]:
    """`place: secret` for each secret whose begin or end is in what was told there."""
    found = []
    for place, content in told.items():
        text = content if isinstance(content, str) else content.decode("utf-8", "replace")
        found += [f"{place}: {name}" for name, secret in SECRETS.items() if secret[:10] in text or secret[-10:] in text]
    return found
