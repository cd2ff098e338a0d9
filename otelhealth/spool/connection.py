"""One kept HTTP/1.1 connection for exports: TLS, proxies, and one wall-clock deadline per request.

`requests` costs 6 MB and takes a time limit per read, so a receiver that trickles holds an export for ever.
"""

from __future__ import annotations

import os
import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from email.utils import parsedate_to_datetime
from urllib.parse import SplitResult, urlsplit

import httptools

from otelhealth.address import host_port
from otelhealth.checks.request import USER_AGENT
from otelhealth.checks.tls import Tls, context
from otelhealth.checks.url import PORTS, basic
from otelhealth.errors import OtelHealthError
from otelhealth.spool.dial import Dialler, left
from otelhealth.spool.settings import Otlp

_MAX_RESPONSE = 1 << 20


class Response:
    """What the receiver answered; fed by the parser."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        self.size = 0  # bytes received, headers included
        self.open_ended = False  # the end of the connection is that of the body
        self.complete = False

    def on_message_begin(self) -> None:
        """Also behind an interim response."""
        self.headers, self.body = {}, b""
        self.complete = self.open_ended = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        self.open_ended = not self._framed

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = True

    def lets_go_on(self, version: str) -> bool:
        """Whether its connection may carry another request; the parser itself forgets that when the message ends."""
        return version == "1.1" and self._framed and "close" not in self.headers.get("connection", "").lower()

    @property
    def _framed(self) -> bool:
        return "content-length" in self.headers or "transfer-encoding" in self.headers

    def retry_after(self) -> float:
        """Seconds that `Retry-After` asks for; 0.0 without one."""
        value = self.headers.get("retry-after", "")
        try:
            return max(0.0, float(value)) if value else 0.0
        except ValueError:
            pass
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except (ValueError, OverflowError):
            return 0.0


class Connection:
    """Posts to one URL. Errors are OSErrors; TimeoutError when the deadline passed.

    To make it raises OtelHealthError, where the TLS files or the proxy that are named cannot be used.
    """

    def __init__(self, receiver: Otlp) -> None:
        self._url = urlsplit(receiver.endpoint or "")
        self._tls = _tls(receiver) if self._url.scheme == "https" else None
        self._secured = context(self._tls) if self._tls else None
        self._proxy = _proxy(self._url)
        self._peer = self._proxy or self._url
        self._dialler = Dialler(self._peer.hostname or "", self._peer.port or PORTS[self._peer.scheme])
        self._head = self._request_head(receiver)
        self._socket: socket.socket | None = None  # kept for the next request
        self._busy: socket.socket | None = None
        self._aborted = False
        self.sent = False  # whether all of the last request left, so that it may have arrived

    def _request_head(self, receiver: Otlp) -> str:
        target = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        every = {"host": self._url.netloc.rpartition("@")[2], "user-agent": USER_AGENT}
        every |= {name.lower(): value.get_secret_value() for name, value in receiver.headers.items()}
        if self._proxy and self._tls is None:
            target = f"http://{every['host']}{target}"
            every |= _proxy_authorization(self._proxy)
        return f"POST {target} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in every.items())

    @property
    def peer(self) -> str:
        """Who is dialled, the receiver or a proxy: `host:port`, without credentials."""
        return self._peer.netloc.rpartition("@")[2]

    def post(self, body: bytes, headers: Mapping[str, str], timeout: float) -> Response:
        """Send and read the response within `timeout` seconds, all included."""
        deadline = time.monotonic() + timeout
        self.sent = False
        own = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"{self._head}{own}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body
        if self._socket is not None:
            try:
                return self._exchange(self._socket, request, deadline)
            except TimeoutError:
                raise
            except OSError:
                pass  # the receiver closed the kept connection meanwhile: one more try on a new one
        return self._exchange(self._connect(deadline), request, deadline)

    def abort(self) -> None:
        """End the request that another thread waits for, and refuse further ones."""
        self._aborted = True
        self._dialler.abort()
        if (busy := self._busy) is not None:
            with suppress(OSError):  # it has just ended by itself
                busy.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _connect(self, deadline: float) -> socket.socket:
        raw = self._busy = self._dialler.dial(deadline)
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is None:
                return raw
            if self._proxy:
                self._tunnel(raw, self._proxy, deadline)
            raw.settimeout(left(deadline))
            return self._secure(self._tls).wrap_socket(raw, server_hostname=self._url.hostname)
        except BaseException:
            raw.close()
            raise

    def _secure(self, tls: Tls) -> ssl.SSLContext:
        """With the files as they are now, for certificates are renewed; as they were, where they cannot be used."""
        with suppress(OtelHealthError):
            self._secured = context(tls)
        assert self._secured is not None  # noqa: S101 - made with the connection
        return self._secured

    def _tunnel(self, raw: socket.socket, proxy: SplitResult, deadline: float) -> None:
        target = host_port(self._url.hostname or "", self._url.port or PORTS["https"])
        lines = [f"CONNECT {target} HTTP/1.1", f"host: {target}"]
        lines += [f"{name}: {value}" for name, value in _proxy_authorization(proxy).items()]
        _send(raw, "\r\n".join([*lines, "", ""]).encode("latin-1"), deadline)
        head = b""
        while b"\r\n\r\n" not in head:
            head += _receive(raw, deadline)
            if len(head) > _MAX_RESPONSE:
                raise ConnectionError("the proxy's answer is larger than 1 MiB")
        status = head.split(b" ", 2)[1:2]
        if not re.fullmatch(rb"2\d\d", b"".join(status)):
            raise ConnectionError(f"the proxy answered {b' '.join(status).decode('latin-1')} to CONNECT")

    def _exchange(self, connected: socket.socket, request: bytes, deadline: float) -> Response:
        """The connection is kept only when the response was whole and allows it."""
        self._socket, self._busy = None, connected
        keep = False
        try:
            if self._aborted:
                raise ConnectionAbortedError("the spool closes")
            _send(connected, request, deadline)
            self.sent = True
            response = Response()
            parser = httptools.HttpResponseParser(response)
            while not (response.complete and parser.get_status_code() >= 200):  # behind an interim one comes another
                data = _receive(connected, deadline, may_end=response.open_ended and not response.complete)
                if not data:
                    break
                response.size += len(data)
                if response.size > _MAX_RESPONSE:
                    raise ConnectionError("the answer is larger than 1 MiB")
                self._feed(parser, data)
            response.status = parser.get_status_code()
            keep = response.lets_go_on(parser.get_http_version())
            return response
        finally:
            self._busy = None
            if keep:
                self._socket = connected
            else:
                connected.close()

    @staticmethod
    def _feed(parser: httptools.HttpResponseParser, data: bytes) -> None:
        try:
            parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise ConnectionError(f"the answer is not HTTP: {error}") from None
        except httptools.HttpParserUpgrade:
            raise ConnectionError("the receiver wants to go on in another protocol") from None


def _send(to: socket.socket, data: bytes, deadline: float) -> None:
    to.settimeout(left(deadline))
    to.sendall(data)


def _receive(of: socket.socket, deadline: float, *, may_end: bool = False) -> bytes:
    """b"" at the end of a connection that may end."""
    of.settimeout(left(deadline))
    data = of.recv(65536)
    if not data and not may_end:
        raise ConnectionResetError("the receiver closed the connection")
    return data


def _tls(receiver: Otlp) -> Tls:
    return Tls(ca=receiver.certificate, certificate=receiver.client_certificate, key=receiver.client_key)


def _proxy(url: SplitResult) -> SplitResult | None:
    """The proxy that `HTTP(S)_PROXY` and `NO_PROXY` name for this receiver; OtelHealthError where it is none."""
    if not any(name.lower() == f"{url.scheme}_proxy" for name in os.environ):
        return None
    from urllib import request  # noqa: PLC0415 - only where a proxy is set

    found = request.getproxies_environment().get(url.scheme)
    if not found or request.proxy_bypass(url.netloc.rpartition("@")[2]):
        return None
    proxy = urlsplit(found if "://" in found else f"http://{found}")
    try:
        usable = bool(proxy.hostname) and proxy.port != 0
    except ValueError:
        usable = False
    if not usable:
        remedy = "write one such as http://proxy:3128, or name the receiver in NO_PROXY"
        raise OtelHealthError(f"the proxy of {url.scheme.upper()}_PROXY is not a URL", remedy)
    return proxy


def _proxy_authorization(proxy: SplitResult) -> dict[str, str]:
    authorization = basic(proxy.username, proxy.password)
    return {"proxy-authorization": authorization} if authorization else {}
