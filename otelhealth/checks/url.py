"""An http(s) URL taken apart once, that never shows the credentials or query values it holds."""

import base64
import re
from collections.abc import Iterator
from typing import Annotated, NamedTuple, Self
from urllib.parse import quote, unquote, urljoin, urlsplit

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

PORTS = {"http": 80, "https": 443}
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_VALUE = re.compile(r"([^&=]+=|)([^&]+)")
_KEEP = "/%:@!$&'()*+,;=~-._?[]"
_KEY = 16  # characters
_MOST = 8192  # characters; nginx and others refuse more


class Url(NamedTuple):
    """`target` is what a request line asks for, `authorization` the user info's; `str()` is fit to be shown."""

    scheme: str
    host: str
    port: int
    target: str
    authorization: str = ""
    shown: str = ""

    @classmethod
    def parse(cls, text: object) -> Self:
        """Raises ValueError, in words that do not repeat the URL (it may hold a password)."""
        if not isinstance(text, str) or len(text) > _MOST:
            raise ValueError(f"a URL is a text of at most {_MOST} characters; write one such as http://host:8080/path")
        if _UNSAFE.search(text):
            raise ValueError("a URL holds no spaces, backslashes or control characters; write them as %20")
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise ValueError("the port or host of this URL cannot be read; write http://host:8080/path") from error
        if parts.scheme not in PORTS:
            raise ValueError("a URL starts with http:// or https://")
        host = _ascii_host(parts.hostname or "")
        path = quote(parts.path, safe=_KEEP) or "/"
        query = quote(parts.query, safe=_KEEP)
        port = PORTS[parts.scheme] if port is None else port
        url = cls(parts.scheme, host, port, f"{path}?{query}" if query else path, basic(parts.username, parts.password))
        hidden = "?" + _VALUE.sub(lambda match: match[1] + "REDACTED", query) if query else ""
        return url._replace(shown=f"{parts.scheme}://{url.authority}{path}{hidden}")

    @property
    def authority(self) -> str:
        """The `Host` header: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        return self.scheme, self.host, self.port

    @property
    def secrets(self) -> Iterator[str]:
        """What of it is secret: the password with its user, and values of the query as long as keys are."""
        if self.authorization:
            token = self.authorization.removeprefix("Basic ")
            yield token
            yield base64.b64decode(token).decode().partition(":")[2]
        for match in _VALUE.finditer(self.target.partition("?")[2]):
            if len(match[2]) >= _KEY:
                yield match[2]
                yield unquote(match[2])

    def under(self, suffix: str) -> Self:
        """`suffix` below this URL's path, with its credentials: an endpoint of the API that lives here."""
        target = self.target.partition("?")[0].rstrip("/") + suffix
        return self.parse(f"{self.scheme}://{self.authority}{target}")._replace(authorization=self.authorization)

    def join(self, location: str) -> Self:
        """Where a `Location` of an answer from here leads; raises ValueError where that is nowhere to go."""
        base = f"{self.scheme}://{self.authority}{self.target}"
        return self.parse(urljoin(base, quote(location.strip(), safe=_KEEP + "#")))

    def __str__(self) -> str:
        return self.shown

    def __repr__(self) -> str:
        return f"Url({self.shown!r})"


def _ascii_host(host: str) -> str:
    try:
        name = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        name = ""
    if not name or len(name) > 253 or not re.fullmatch(r"[A-Za-z0-9._:-]+", name):
        raise ValueError("this URL has no usable host name; write http://host:8080/path")
    return name


def basic(user: str | None, password: str | None) -> str:
    """The `Authorization` of a URL's user info; "" without one."""
    if user is None and password is None:
        return ""
    pair = f"{unquote(user or '')}:{unquote(password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


HttpUrl = Annotated[
    Url,
    PlainValidator(lambda value: value if isinstance(value, Url) else Url.parse(value)),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "format": "uri", "pattern": "^https?://", "maxLength": _MOST}),
]
