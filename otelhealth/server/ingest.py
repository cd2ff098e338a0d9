"""`/v1/traces`, `/v1/metrics`, `/v1/logs`: OTLP/HTTP from the service, answered when it is kept. Never looks inside."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import Receive, Scope, Send

from otelhealth.clock import Clock
from otelhealth.server.auth import Keys, foreign_origin, is_local
from otelhealth.server.flight import Body, Flight
from otelhealth.server.intake import Intake
from otelhealth.server.otlp import PROTOBUF, Refusal, header, media_type, refused, taken
from otelhealth.server.responses import JSON, Response
from otelhealth.server.settings import AuthSettings
from otelhealth.spool import Letter
from otelhealth.spool.settings import SIGNALS, SignalName
from otelhealth.telemetry.circle import MARK, mark_of
from otelhealth.telemetry.receiving import ReceiveLimits

_PATHS: dict[str, SignalName] = {f"/v1/{signal}": signal for signal in SIGNALS}
_MARK = MARK.encode()
_ENCODINGS = (b"", b"identity", b"gzip")

_NO_PATH = Refusal(404, f"there is nothing here; OTLP/HTTP goes to {', '.join(_PATHS)}")
_NO_POST = Refusal(405, "OTLP/HTTP is sent by POST", extra=((b"allow", b"POST"),))
_FOREIGN_PAGE = Refusal(403, "a page of another origin may not send telemetry")
_NO_TOKEN = Refusal(
    401,
    "from beyond this machine one of server.auth.tokens is wanted; set OTEL_EXPORTER_OTLP_HEADERS of the sender to "
    "authorization=Bearer%20TOKEN",
    extra=((b"www-authenticate", b'Bearer realm="otelhealth"'),),
)
_NOT_LOCAL = Refusal(
    403, "without server.auth.tokens only direct clients on this machine may send, by its address or as localhost"
)
_OURS = Refusal(
    403, "the endpoint leads back to this agent itself; set telemetry.otlp.endpoint to the Collector behind it"
)
_NO_TYPE = Refusal(415, "the content-type is neither application/x-protobuf nor application/json")
_NO_ENCODING = Refusal(
    415,
    "the content-encoding is neither gzip nor identity; set OTEL_EXPORTER_OTLP_COMPRESSION of the sender to gzip",
    extra=((b"accept-encoding", b"gzip, identity"),),
)
_TOO_OFTEN = Refusal(429, "requests come faster than telemetry.receive.limits.rate", wait=1)
_TOO_MUCH = Refusal(503, "more is on its way in than telemetry.receive.limits.in_flight", wait=1)
Count = Callable[[SignalName | None, Refusal | None], None]


class Ingest:
    """The ASGI application of the listener of `telemetry.receive`. `count` is told of every request, `instance` is the
    agent's own service.instance.id."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it is told, by name
        self, limits: ReceiveLimits, auth: AuthSettings, intake: Intake, count: Count, clock: Clock, instance: str
    ) -> None:
        self._limits = limits
        self._mark = mark_of(instance).encode()
        self._keys = Keys(auth)
        self._intake = intake
        self._count = count
        self._clock = clock
        self._flight = Flight(limits.in_flight)
        self._tokens, self._filled = float(limits.rate), clock.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        media, signal = media_type(scope["headers"]), _PATHS.get(scope["path"])
        refusal = self._refuses(scope, signal, media)
        if refusal is None and signal is not None:
            try:
                refusal = await self._take(signal, scope, receive)
            except ConnectionResetError:
                return  # nobody is there any more
        self._count(signal, refusal)
        response: Response = taken(media) if refusal is None else refused(refusal, media)
        await response(scope, receive, send)

    def _refuses(self, scope: Scope, signal: SignalName | None, media: bytes) -> Refusal | None:
        """What is wrong with a request before its body is looked at."""
        refusal = self._unwelcome(scope)
        if refusal is not None:
            return refusal
        if signal is None:
            return _NO_PATH
        if scope["method"] != "POST":
            return _NO_POST
        if media not in (PROTOBUF, JSON):
            return _NO_TYPE
        if header(scope["headers"], b"content-encoding").lower() not in _ENCODINGS:
            return _NO_ENCODING
        return None if self._in_time() else _TOO_OFTEN

    def _unwelcome(self, scope: Scope) -> Refusal | None:
        if header(scope["headers"], _MARK) == self._mark:
            return _OURS
        if foreign_origin(scope):
            return _FOREIGN_PAGE
        if is_local(scope) or self._keys.open(scope):
            return None
        return _NO_TOKEN if self._keys else _NOT_LOCAL

    def _in_time(self) -> bool:
        """Whether this one comes within the rate: as many as a second has may come at once."""
        now, rate = self._clock.monotonic(), self._limits.rate
        self._tokens = min(float(rate), self._tokens + (now - self._filled) * rate)
        self._filled = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def _take(self, signal: SignalName, scope: Scope, receive: Receive) -> Refusal | None:
        body = self._flight.begin()
        try:
            async with body.patience:
                content = await self._receive(body, receive)
            return _TOO_MUCH if content is None else await self._intake.take(_letter(signal, scope, content))
        except TimeoutError:
            return _TOO_MUCH
        finally:
            self._flight.end(body)

    async def _receive(self, body: Body, receive: Receive) -> bytes | None:
        """None where there is no room for it."""
        parts: list[bytes] = []
        more = True
        while more:
            if not self._flight.has_room(body):
                return None
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionResetError
            parts.append(message.get("body", b""))
            self._flight.grow(body, len(parts[-1]))
            more = message.get("more_body", False)
        self._flight.came(body)
        return b"".join(parts)


def _letter(signal: SignalName, scope: Scope, body: bytes) -> Letter:
    """The request as it came; of its headers only what says how its body is to be read goes on."""
    content_type = header(scope["headers"], b"content-type").decode("latin-1")
    encoding = header(scope["headers"], b"content-encoding").lower()
    return Letter(signal, body, content_type, "gzip" if encoding == b"gzip" else "", received=True)
