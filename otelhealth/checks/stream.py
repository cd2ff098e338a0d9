"""One attempt at one address: dialling over TCP, TLS or a unix socket, each phase timed, each failure classed."""

import asyncio
import errno
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import Any, NamedTuple

from opentelemetry.trace import Span

from otelhealth.address import host_port
from otelhealth.checks.base import Context
from otelhealth.checks.resolve import Family, literal, resolve
from otelhealth.checks.tls import Tls, context, tls_error
from otelhealth.errors import ProbeError, one_line
from otelhealth.units import duration_text

_OURS = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)
_QUOTED = 200  # bytes of what a peer said
_CLASSES = {
    errno.ECONNREFUSED: ("connection_refused", "refused the connection"),
    errno.ECONNRESET: ("connection_reset", "reset the connection"),
    errno.EPIPE: ("connection_reset", "reset the connection"),
    errno.ECONNABORTED: ("connection_reset", "broke the connection off"),
    errno.EHOSTUNREACH: ("host_unreachable", "cannot be reached"),
    errno.ENETUNREACH: ("network_unreachable", "is in a network that cannot be reached"),
    errno.ETIMEDOUT: ("connect_timeout", "did not answer the connection"),
    errno.ENOENT: ("socket_missing", "does not exist"),
    errno.ENOTSOCK: ("socket_missing", "is no socket"),
    errno.EACCES: ("permission_denied", "may not be connected to"),
    errno.EPERM: ("permission_denied", "may not be connected to"),
}


class Endpoint(NamedTuple):
    """Where to: a host and port, or the `path` of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""
    family: Family | None = None

    def __str__(self) -> str:
        return self.path or host_port(self.host, self.port)


class Attempt:
    """How far one attempt came: seconds per phase, the phase it is in, the address it went to, what was said there."""

    __slots__ = ("_since", "heard", "peer", "phase", "phases")

    def __init__(self) -> None:
        self.phases: dict[str, float] = {}
        self.phase = ""
        self.peer = ""
        self.heard = ""
        self._since = 0.0

    def enter(self, phase: str) -> None:
        """End the phase before this one, if any; a phase met again (redirects) adds up. "" ends the last."""
        now = perf_counter()
        if self.phase:
            self.phases[self.phase] = self.phases.get(self.phase, 0.0) + now - self._since
        self.phase = phase
        self._since = now

    def attributes(self) -> dict[str, Any]:
        """Of the attempt's span."""
        found: dict[str, Any] = {f"otelhealth.phase.{name}.duration": took for name, took in self.phases.items()}
        if self.peer:
            found["network.peer.address"] = self.peer
        return found

    def __str__(self) -> str:
        took = ", ".join(f"{name} {duration_text(seconds)}" for name, seconds in self.phases.items())
        where = f" to {self.peer}" if self.peer else ""
        said = f", it said {self.heard}" if self.heard else ""
        return f"in phase {self.phase or 'none'}{where}" + (f" after {took}" if took else "") + said


@contextmanager
def traced(ctx: Context, name: str, attributes: Mapping[str, Any], attempt: Attempt) -> Iterator[Span]:
    """The attempt's CLIENT span, at its end with all phases; a cancellation logs how far the attempt came."""
    with ctx.client_span(name, attributes) as span:
        try:
            yield span
        except asyncio.CancelledError:
            ctx.log(f"stopped {attempt}")
            raise
        finally:
            attempt.enter("")
            span.set_attributes(attempt.attributes())


@contextmanager
def classed(where: str) -> Iterator[None]:
    """Make ProbeErrors of what the network reports; a lack of our own (files, ports, memory) stays as it is."""
    try:
        yield
    except OSError as error:
        raise network_error(error, where) from error


def network_error(error: OSError, where: str) -> BaseException:
    """The ProbeError of an error of network or TLS; `error` itself where it speaks of this machine, not the target."""
    if isinstance(error, ssl.SSLError):
        return tls_error(error, where)
    number = error.errno
    if number in _OURS:
        return error
    if number is None and isinstance(error, ConnectionError):
        number = errno.ECONNRESET
    error_type, words = _CLASSES.get(number or 0, ("connection_error", f"cannot be connected to: {error.strerror}"))
    return ProbeError(error_type, f"{where} {words}")


async def addresses(endpoint: Endpoint, attempt: Attempt) -> tuple[str, ...]:
    """Those of the endpoint's host, the look-up timed as `dns`; an address is its own."""
    if literal(endpoint.host):
        return (endpoint.host,)
    attempt.enter("dns")
    return await resolve(endpoint.host, endpoint.family)


async def dial(
    protocol: asyncio.Protocol, endpoint: Endpoint, attempt: Attempt, tls: Tls | None = None, alpn: tuple[str, ...] = ()
) -> asyncio.Transport:
    """Connect `protocol`; whoever calls aborts the transport. Raises ProbeError; a cancellation leaves nothing open.

    Only the first address is tried, so that a half-up name shows; `localhost` alone is one host by two addresses.
    With TLS `protocol.connection_made` is not called.
    """
    loop = asyncio.get_running_loop()
    secured = None if tls is None else context(tls, alpn)
    # Bytes that arrive before the handshake are none of the protocol's.
    first = protocol if secured is None else asyncio.Protocol()
    where = str(endpoint)
    with classed(where):
        transport = await (_unix if endpoint.path else _tcp)(loop, first, endpoint, attempt)
        if secured is None or tls is None:
            return transport
        attempt.enter("tls")
        try:
            upgraded = await loop.start_tls(
                transport,
                protocol,
                secured,
                server_hostname=tls.server_name or endpoint.host or "localhost",
                ssl_handshake_timeout=3600.0,  # the attempt's own deadline cancels long before
            )
        except BaseException:
            transport.abort()
            raise
        if upgraded is None:
            raise ConnectionResetError(errno.ECONNRESET, "closed during the handshake")
        return upgraded


async def _tcp(
    loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, endpoint: Endpoint, attempt: Attempt
) -> asyncio.Transport:
    first, *others = await addresses(endpoint, attempt)
    attempt.enter("connect")
    attempt.peer = first
    try:
        return (await loop.create_connection(lambda: protocol, first, endpoint.port))[0]
    except ConnectionRefusedError:
        if first != "127.0.0.1" or not others:
            raise
        with suppress(OSError):
            found = await loop.create_connection(lambda: protocol, others[0], endpoint.port)
            attempt.peer = others[0]
            return found[0]
        raise


async def _unix(
    loop: asyncio.AbstractEventLoop, protocol: asyncio.Protocol, endpoint: Endpoint, attempt: Attempt
) -> asyncio.Transport:
    attempt.enter("connect")
    attempt.peer = endpoint.path
    return (await loop.create_unix_connection(lambda: protocol, endpoint.path))[0]


class Inbox(asyncio.Protocol):
    """What a peer said, up to `limit` bytes: for dialogues."""

    def __init__(self, where: str, limit: int = 64 * 1024) -> None:
        self.data = b""
        self._where = where
        self._limit = limit
        self._lost: BaseException | None = None
        self._closed = False
        self._waiter: asyncio.Future[None] | None = None

    def data_received(self, data: bytes) -> None:
        self.data += data[: self._limit - len(self.data)]
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        if isinstance(exc, OSError):
            self._lost = network_error(exc, self._where)
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def until(self, enough: Callable[[bytes], int]) -> bytes:
        """Wait until `enough` says how many bytes are the answer (0: not yet), and take these off.

        Raises ProbeError where the peer ends first, or says more than the limit without it.
        """
        while not (length := enough(self.data)):
            if self._lost is not None:
                raise self._lost
            if self._closed or len(self.data) >= self._limit:
                why = "closed the connection" if self._closed else f"said {self._limit // 1024} KiB"
                said = f", it said {self}" if str(self) else ""
                raise ProbeError("unexpected_answer", f"{self._where} {why} without the expected answer{said}")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        taken, self.data = self.data[:length], self.data[length:]
        return taken

    def __str__(self) -> str:
        """The begin of what was said and not taken yet, quoted; empty where nothing was."""
        text = one_line(self.data[:_QUOTED].decode(errors="replace"), _QUOTED).strip()
        return f"'{text}{'...' if len(self.data) > _QUOTED else ''}'" if text else ""
