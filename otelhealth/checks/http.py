"""The wire of one timed HTTP/1.1 request: asyncio's transport, httptools' parser, nothing kept open, nothing unbounded.

The choice stands in this file alone; `benchmarks/http_wire.py` measures it. Proxies of the environment are not used:
a check speaks to the address it names.
"""

import asyncio
import ssl
import zlib
from typing import Any, NamedTuple

import httptools

from otelhealth.checks.request import Request, Response
from otelhealth.checks.stream import Attempt, Endpoint, dial, network_error
from otelhealth.checks.tls import not_after
from otelhealth.checks.url import Url
from otelhealth.errors import ProbeError

ALPN = ("http/1.1",)
_MOST_HEADERS = 64 * 1024  # bytes of a response before its body; nginx and Node send and take less
_REDIRECTS = {301, 302, 303, 307, 308}


class Hop(NamedTuple):
    """A redirect that was followed: who answered with it, and after how many seconds."""

    url: Url
    status: int
    duration: float


class Exchange(Attempt):
    """One request with its redirects, as far as it came: also what is known when it failed or was cancelled."""

    __slots__ = ("expires", "hops", "status", "version")

    def __init__(self) -> None:
        super().__init__()
        self.expires: float | None = None  # Unix seconds: the first certificate that will
        self.hops: list[Hop] = []
        self.status: int | None = None  # of the last response
        self.version = ""

    def attributes(self) -> dict[str, Any]:
        found = super().attributes()
        if self.status is not None:
            found["http.response.status_code"] = self.status
            found["network.protocol.version"] = self.version
        return found

    async def run(self, request: Request, traceparent: str | None = None) -> Response:
        """Raises ProbeError for whatever the target, or the way to it, reported."""
        response = await self._once(request, traceparent)
        while response.status in _REDIRECTS and request.redirects and response.header("location"):
            request = self._next(request, response)
            response = await self._once(request, traceparent)
        return response

    def _next(self, request: Request, response: Response) -> Request:
        before = sum(hop.duration for hop in self.hops)
        self.hops.append(Hop(response.url, response.status, sum(self.phases.values()) - before))
        if len(self.hops) > request.redirects:
            raise ProbeError("too_many_redirects", f"{request.url} redirected more than {request.redirects} times")
        try:
            url = request.url.join(response.header("location") or "")
        except ValueError as error:
            raise ProbeError("redirect_refused", f"{request.url} redirected to nowhere: {error}") from error
        return request.redirected(response.status, url)

    async def _once(self, request: Request, traceparent: str | None) -> Response:
        url = request.url
        self.status = None
        reader = _Reader(request, self)
        endpoint = Endpoint(url.host, url.port, family=request.family)
        secured = request.tls if url.scheme == "https" else None
        transport = await dial(reader, endpoint, self, secured, ALPN if secured else ())
        try:
            if secured is not None:
                self._certificate(transport)
            self.enter("first_byte")
            trace = f"traceparent: {traceparent}\r\n\r\n".encode() if traceparent else b"\r\n"
            transport.write(request.head + trace + request.body)
            await reader.whole()
            return reader.response()
        finally:
            transport.abort()
            reader.let_go()

    def _certificate(self, transport: asyncio.Transport) -> None:
        peer = transport.get_extra_info("ssl_object")
        expires = not_after(peer) if isinstance(peer, ssl.SSLObject) else None
        if expires is not None and (self.expires is None or expires < self.expires):
            self.expires = expires


class _Reader(asyncio.Protocol):
    """Reads one response; it is `done` when it is whole, too much, broken, or broken off."""

    __slots__ = (
        "_body",
        "_done",
        "_error",
        "_exchange",
        "_framed",
        "_headers",
        "_idle",
        "_in_head",
        "_parser",
        "_request",
        "_size",
        "_waiter",
    )

    def __init__(self, request: Request, exchange: Exchange) -> None:
        self._done = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._request = request
        self._exchange = exchange
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[str, str]] = []
        self._body: list[bytes] = []
        self._size = 0  # of the body
        self._idle = 0  # bytes since the last of the body: headers, trailers, chunk extensions
        self._in_head = True
        self._framed = False  # the response says where it ends

    def data_received(self, data: bytes) -> None:
        if self._done:
            return
        if self._exchange.phase == "first_byte":
            self._exchange.enter("transfer")
        self._idle += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._finish()
        except httptools.HttpParserError as error:
            self._fail("http_malformed", f"answered with something that is not HTTP/1.1: {str(error)[:100]}")
        if self._idle > _MOST_HEADERS:
            self._fail("headers_too_large", f"sent more than {_MOST_HEADERS // 1024} KiB of headers")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._done:
            return
        if isinstance(exc, OSError):  # also of TLS 1.3, where a refused client certificate shows only now
            self._end(network_error(exc, str(self._request.url)))
        elif not self._in_head and not self._framed:
            self._finish()
        elif self._in_head and self._idle == 0:
            self._fail("connection_closed", "closed the connection without an answer")
        else:
            self._fail("incomplete_response", "closed the connection in the middle of its answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        key = name.decode("latin-1").lower()
        if key in ("content-length", "transfer-encoding"):
            self._framed = True
        self._headers.append((key, value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        self._in_head = False
        self._exchange.status = status
        self._exchange.version = self._parser.get_http_version()
        if self._request.method == "HEAD":  # the parser cannot know that no body follows
            self._finish()

    def on_body(self, data: bytes) -> None:
        if self._done:
            return
        self._body.append(data)
        self._size += len(data)
        self._idle = 0
        if self._size > self._request.body_limit:
            self._finish()

    def on_message_complete(self) -> None:
        if self._in_head:  # an interim response (1xx): the real one follows
            self._headers.clear()
            self._framed = False
        else:
            self._finish()

    def on_message_begin(self) -> None:
        """Asked for by the parser."""

    async def whole(self) -> None:
        """Wait until it is done; raises what ended it too early."""
        if not self._done:
            # Made only now: an error that nobody waits for any more is nobody's.
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        if self._error is not None:
            raise self._error

    def let_go(self) -> None:
        """End the parser's circle with this object, so that no run waits for the garbage collector."""
        self._done = True
        del self._parser

    def _finish(self) -> None:
        if not self._done:
            self._exchange.enter("")
            self._end(None)

    def _fail(self, error_type: str, words: str) -> None:
        if not self._done:
            self._end(ProbeError(error_type, f"{self._request.url} {words}"))

    def _end(self, error: BaseException | None) -> None:
        self._done = True
        self._error = error
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def response(self) -> Response:
        request, exchange, limit = self._request, self._exchange, self._request.body_limit
        body, truncated = b"".join(self._body), self._size > limit
        coding = next((value for key, value in self._headers if key == "content-encoding"), "").strip().lower()
        if body and coding and coding != "identity":
            body, cut = _unpacked(body, coding, limit, str(request.url))
            truncated = truncated or cut
        return Response(
            exchange.status or 0, exchange.version, tuple(self._headers), body[:limit], truncated, request.url
        )


def _unpacked(body: bytes, coding: str, limit: int, where: str) -> tuple[bytes, bool]:
    """At most `limit` bytes, and whether there are more: a few kB can unpack to gigabytes."""
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise ProbeError("http_encoding", f"{where} answered in the encoding {coding[:30]!r}, which is not understood")
    for window in (47, -15) if coding == "deflate" else (47,):  # some servers send deflate without its zlib header
        unpacker = zlib.decompressobj(window)
        try:
            return unpacker.decompress(body, limit), bool(unpacker.unconsumed_tail)
        except zlib.error:
            continue
    raise ProbeError("http_encoding", f"{where} answered with a body that is not the {coding} it says it is")
