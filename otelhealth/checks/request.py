"""An HTTP request and its response: what is sent, what a redirect changes of it, what came back. Holds secrets."""

from __future__ import annotations

import re
from typing import Annotated, NamedTuple

from pydantic import Field, SecretStr

from otelhealth.checks.resolve import Family
from otelhealth.checks.tls import Tls
from otelhealth.checks.url import Url
from otelhealth.version import __version__

HeaderValue = Annotated[SecretStr, Field(max_length=8192)]
USER_AGENT = f"otelhealth/{__version__}"
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_OWN = {"connection", "content-length", "transfer-encoding", "traceparent", "expect", "upgrade", "te"}
OF_ANY_ORIGIN = {"accept", "accept-encoding", "accept-language", "content-type", "user-agent"}
_PLAIN = Tls()
_BODY_HEADERS = {"content-type", "content-encoding", "content-language", "content-location"}


class Request:
    """One request, its head rendered once. Headers and body hold secrets: there is no text form of them.

    Of the response's body `body_limit` bytes are read, and it may unpack to as many; `redirects` are followed at most.
    """

    __slots__ = ("body", "body_limit", "family", "head", "headers", "method", "redirects", "tls", "url")

    def __init__(  # noqa: PLR0913 - a value's fields
        self,
        method: str,
        url: Url,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        *,
        body_limit: int = 1024 * 1024,
        redirects: int = 10,
        tls: Tls = _PLAIN,
        family: Family | None = None,
    ) -> None:
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.body_limit = body_limit
        self.redirects = redirects
        self.tls = tls
        self.family = family
        self.head = self._render()

    def _render(self) -> bytes:
        names = {name.lower() for name, _ in self.headers}
        lines = [f"{self.method} {self.url.target} HTTP/1.1"]
        if "host" not in names:
            lines.append(f"Host: {self.url.authority}")
        if "user-agent" not in names:
            lines.append(f"User-Agent: {USER_AGENT}")
        if "accept" not in names:
            lines.append("Accept: */*")
        if self.url.authorization and "authorization" not in names:
            lines.append(f"Authorization: {self.url.authorization}")
        lines += [f"{name}: {value}" for name, value in self.headers]
        if self.body or self.method in ("POST", "PUT", "PATCH"):
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\nConnection: close\r\n").encode("latin-1")

    def redirected(self, status: int, url: Url) -> Request:
        """What a browser would ask next: another method on 303 and on a POST, no credentials to another origin."""
        method, headers, body = self.method, self.headers, self.body
        if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
            method, body = "GET", b""
            headers = tuple(pair for pair in headers if pair[0].lower() not in _BODY_HEADERS)
        if url.origin != self.url.origin:
            headers = tuple(pair for pair in headers if pair[0].lower() in OF_ANY_ORIGIN)
        elif self.url.authorization and not url.authorization:
            url = url._replace(authorization=self.url.authorization)
        return Request(
            method,
            url,
            headers,
            body,
            body_limit=self.body_limit,
            redirects=self.redirects,
            tls=self.tls,
            family=self.family,
        )


class Response(NamedTuple):
    """What came back. `body` is unpacked; `truncated` where it went on beyond the limit."""

    status: int
    version: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    truncated: bool
    url: Url

    def __repr__(self) -> str:
        return f"<Response {self.status} of {self.url}>"

    def header(self, name: str) -> str | None:
        """The values of one header, joined; `name` in lower case."""
        values = [value for key, value in self.headers if key == name]
        return ", ".join(values) if values else None


def header_problem(name: str, value: str) -> str | None:
    """Why a configured header cannot be sent; a line break would smuggle in a header of its own."""
    if not _TOKEN.fullmatch(name):
        return f"{name[:50]!r} is not a header name; use letters, digits and dashes"
    if name.lower() in _OWN:
        return f"the header {name} is set by otelhealth; remove it"
    if not _VALUE.fullmatch(value):
        return f"the value of header {name} holds a line break or a character that HTTP cannot carry; remove it"
    return None
