"""Who may ask: the plain probes are everyone's; the rest wants a token, an allowed network, or this very machine."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Collection, Iterable

from starlette.types import ASGIApp, Receive, Scope, Send

from otelhealth.address import Ip, ip
from otelhealth.server.responses import Response, refusal
from otelhealth.server.settings import AuthSettings, ServerSettings

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_BY_PROXY = frozenset(
    {
        b"forwarded",
        b"via",
        b"x-real-ip",
        b"x-client-ip",
        b"x-cluster-client-ip",
        b"x-proxyuser-ip",
        b"true-client-ip",
        b"cf-connecting-ip",
        b"fastly-client-ip",
    }
)
_BY_PROXIES = (b"x-forwarded", b"x-original-", b"x-envoy-")
_AUTHORITY = re.compile(r"(?:\[([^\]]*)\]|([^:\[\]]*))(?::\d*)?")

_CHALLENGE = [(b"www-authenticate", b'Bearer realm="otelhealth", Basic realm="otelhealth"')]
_NO_TOKEN = refusal(
    401,
    "this endpoint wants a token",
    "send `Authorization: Bearer TOKEN` with one of server.auth.tokens",
    _CHALLENGE,
)
_BAD_TOKEN = refusal(
    401, "the token is not one of this agent's", "take one of server.auth.tokens as it stands in its config", _CHALLENGE
)
_NOT_LOCAL = refusal(
    403,
    "without a configured token this endpoint is open to direct clients on this machine only",
    "set server.auth.tokens (or OTELHEALTH_SERVER__AUTH__TOKENS) and send `Authorization: Bearer TOKEN`",
)
_FOREIGN_PAGE = refusal(
    403,
    "a page of another origin may not ask for actions",
    "send the request from a program",
)


def _address(text: str) -> Ip | None:
    """IPv4 also where a dual-stack socket writes it as IPv6; None for anything else."""
    address = ip(text)
    return getattr(address, "ipv4_mapped", None) or address


def _names_this_machine(authority: str) -> bool:
    """Whether a Host is `localhost` or a loopback address, with any port: a rebound DNS name is not."""
    match = _AUTHORITY.fullmatch(authority.strip())
    if match is None:
        return False
    host = (match[1] or match[2] or "").rstrip(".").lower()
    address = _address(host)
    return address.is_loopback if address else host == "localhost"


def _values(scope: Scope, wanted: bytes) -> list[str]:
    return [value.decode("latin-1") for name, value in scope["headers"] if name == wanted]


def _forwarded(names: Iterable[bytes]) -> bool:
    return any(name in _BY_PROXY or name.startswith(_BY_PROXIES) for name in names)


def _presented(header: str) -> str:
    """The secret in an Authorization header: a bearer token, or the password of basic auth; else nothing."""
    scheme, _, rest = header.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode("latin-1").partition(":")[2]
        except (binascii.Error, ValueError):
            return ""
    return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def foreign_origin(scope: Scope) -> bool:
    """A browser names the page that asks: another site's must not act with this user's address or password."""
    hosts = _values(scope, b"host")
    return any(origin.partition("://")[2] not in hosts for origin in _values(scope, b"origin"))


def direct_client(scope: Scope) -> Ip | None:
    """Who asks, where no proxy stands between."""
    if scope.get("client") is None or _forwarded(name for name, _ in scope["headers"]):
        return None
    if scope.get("http_version") == "1.0" and _values(scope, b"host"):  # nginx, unless it is told to say of itself
        return None
    return _address(scope["client"][0])


def is_local(scope: Scope) -> bool:
    """Whether a program of this very machine asks, by no other name than it has there."""
    client = direct_client(scope)
    return client is not None and client.is_loopback and all(map(_names_this_machine, _values(scope, b"host")))


class Keys:
    """The tokens that open what is not everyone's."""

    def __init__(self, settings: AuthSettings) -> None:
        self._digests = [_digest(token.get_secret_value()) for token in settings.tokens]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def open(self, scope: Scope) -> bool:
        """Whether the request presents one of them."""
        headers = _values(scope, b"authorization")
        if len(headers) != 1:
            return False
        presented = _digest(_presented(headers[0]))
        # all are compared, each in constant time: neither which nor how much of one matched shows
        return sum(hmac.compare_digest(presented, digest) for digest in self._digests) > 0


class Guard:
    """ASGI middleware. Closed by default: what is not `public` wants to be asked rightly, unknown paths too."""

    def __init__(self, app: ASGIApp, settings: ServerSettings, public: Collection[str] = ()) -> None:
        self._app = app
        self._public = public
        self._keys = Keys(settings.auth)
        self._allow = settings.allow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].removeprefix(scope.get("root_path", "")) not in self._public:
            refused = self._refuses(scope)
            if refused is not None:
                await refused(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _refuses(self, scope: Scope) -> Response | None:
        reading = scope["method"] in _READING
        if not reading and foreign_origin(scope):
            return _FOREIGN_PAGE
        if self._keys.open(scope):
            return None
        client = direct_client(scope) if reading and self._allow else None
        if client is not None and any(client in network for network in self._allow):
            return None
        if self._keys:
            return _BAD_TOKEN if _values(scope, b"authorization") else _NO_TOKEN
        return None if is_local(scope) else _NOT_LOCAL
