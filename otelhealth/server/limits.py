"""uvicorn's HTTP protocol with bounds: no client takes more than its share of memory, time or connections.

One sweep per second, only while connections are open, stands in for a timer per connection.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import OrderedDict
from enum import IntEnum

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from otelhealth.listening import Bounds
from otelhealth.server.refusals import Refuse, whole

_PIECE = 16_384  # bytes given to the parser before its findings are looked at
_PIPELINED = 8  # requests of one client waiting behind its first
_MARKS = 0.05  # of a body is for the marks of its chunks: those of 200 bytes need 0.03
_LINGER = 2.0  # seconds in which a refused client may still be sending, so that it can read why
_LINGER_BYTES = 2**20
_SWEEP = 1.0
_UNREAD = 64 * 2**20  # bytes of answers that clients let wait, all together

_LOGGER = logging.getLogger("otelhealth.server")


class RefusedError(Exception):
    """Ends the parsing of a request that goes too far."""

    def __init__(self, status: int) -> None:
        self.status = status


class Connections(ServerState):
    """All open connections: how many there may be, who has been waiting longest, whose time is over."""

    def __init__(self, limits: Bounds, most: int, refuse: Refuse) -> None:
        super().__init__()
        self.limits = limits
        self.most = most
        self.refuse = refuse
        self.waiting: OrderedDict[BoundedProtocol, None] = OrderedDict()  # nothing is being done for these
        self.unread: OrderedDict[BoundedProtocol, None] = OrderedDict()  # do not read their answers as they come
        self.empty = asyncio.Event()
        self.empty.set()
        self._sweep: asyncio.TimerHandle | None = None

    def admit(self, newcomer: BoundedProtocol) -> None:
        """The newcomer has a place; when all are taken, it is that of the one waiting longest, else of any."""
        if len(self.connections) >= self.most:
            victim = next(iter(self.waiting), None) or next(iter(self.connections))
            assert isinstance(victim, BoundedProtocol)  # noqa: S101 - no other kind is ever admitted
            victim.cut()
        self.connections.add(newcomer)
        self.empty.clear()
        if self._sweep is None:
            self._sweep = newcomer.loop.call_later(_SWEEP, self._close_overdue, newcomer.loop)

    def lag(self, protocol: BoundedProtocol) -> None:
        """It does not read: where answers wait without bound, who has not read for longest is cut, but for the last."""
        self.unread[protocol] = None
        size = sum(each.transport.get_write_buffer_size() for each in self.unread)
        while size > _UNREAD and len(self.unread) > 1:
            victim = next(iter(self.unread))
            size -= victim.transport.get_write_buffer_size()
            victim.cut()

    def leave(self, protocol: BoundedProtocol) -> None:
        self.connections.discard(protocol)
        self.waiting.pop(protocol, None)
        self.unread.pop(protocol, None)
        if not self.connections:
            self.empty.set()

    def _close_overdue(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for protocol in [p for p in self.connections if isinstance(p, BoundedProtocol) and p.deadline < now]:
            protocol.overdue()
        self._sweep = loop.call_later(_SWEEP, self._close_overdue, loop) if self.connections else None

    def cut_all(self) -> None:
        """End every connection now, whatever it is doing."""
        for protocol in list(self.connections):
            if isinstance(protocol, BoundedProtocol):
                protocol.cut()
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None


class Phase(IntEnum):
    """What is awaited of the client."""

    IDLE = 0  # a request, or none
    HEADERS = 1  # the rest of the headers
    BODY = 2  # the rest of the body
    WHOLE = 3  # nothing: the request is there
    REFUSED = 4  # that it reads why, and goes


class BoundedProtocol(HttpToolsProtocol):
    """One connection. `deadline` (of the loop's clock) is when the client must have done what `phase` awaits."""

    server_state: Connections

    def __init__(self, config: Config, connections: Connections, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, connections, {}, loop)
        self.limits = connections.limits
        self.logger = _LOGGER
        self.access_log = False
        self.phase = Phase.IDLE
        self.deadline = loop.time() + self.limits.header_time
        self.fed = 0  # bytes in this phase, but for those of the piece in which it began

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        # not uvicorn's own: it duplicates the descriptor twice to ask for the addresses
        self.transport = transport
        self.flow = FlowControl(transport)
        self.server = transport.get_extra_info("sockname")[:2]
        self.client = transport.get_extra_info("peername")[:2]
        self.scheme = "http"
        self.server_state.admit(self)
        self.server_state.waiting[self] = None

    def connection_lost(self, exc: Exception | None) -> None:
        self.server_state.leave(self)
        super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn leaves a client that has said all unanswered
        if self.phase is Phase.BODY or not self._answering:  # what is missing of a body will not come any more
            return False
        self.cycle.keep_alive = False
        return True

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def data_received(self, data: bytes) -> None:
        if len(data) <= _PIECE:
            self._feed(data)
            return
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            self._feed(view[start : start + _PIECE])

    def _feed(self, data: bytes | memoryview) -> None:
        self.fed += len(data)
        if self.phase is Phase.REFUSED or self.transport.is_closing():
            if self.fed > _LINGER_BYTES:
                self.cut()
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self.cycle.keep_alive = False  # answered as the plain request it also is
            self.phase = Phase.REFUSED
        except httptools.HttpParserError as error:
            reason = error.__context__
            self._refuse(reason.status if isinstance(reason, RefusedError) else 400)
        else:
            if self.phase is Phase.HEADERS and self.fed > self.limits.header_size:
                self._refuse(431)
            elif self.phase is Phase.BODY and self._around_body() > self.limits.header_size:
                self._refuse(413)

    def _around_body(self) -> float:
        """Bytes of chunk marks and trailers beyond what fair chunks need: one of a single byte costs the loop as
        much as one of 16 kB."""
        return self.fed - (self.limits.body_size - self.body_left) * (1 + _MARKS)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await(Phase.HEADERS, self.limits.header_time)

    def on_headers_complete(self) -> None:
        if self.fed + _PIECE > self.limits.header_size and self._header_size() > self.limits.header_size:
            raise RefusedError(431)
        if len(self.pipeline) >= _PIPELINED:
            raise RefusedError(400)
        if self._announced() > self.limits.body_size:
            raise RefusedError(413)
        self._await(Phase.BODY, self.limits.body_time)
        self.body_left = self.limits.body_size
        self.server_state.waiting.pop(self, None)
        super().on_headers_complete()

    def _header_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)

    def _announced(self) -> int:
        """Bytes of the body, where the headers tell; the parser has seen that it is a number."""
        return next((int(value) for name, value in self.headers if name == b"content-length"), 0)

    def on_body(self, body: bytes) -> None:
        self.body_left -= len(body)
        if self.body_left < 0:
            raise RefusedError(413)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        if self._answering:
            self._await(Phase.WHOLE, math.inf)
        else:
            self._await(Phase.IDLE, self.limits.idle)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            self._await(Phase.REFUSED, self.limits.write_time)
        else:
            self.flow.resume_reading()
            if self.pipeline:
                self._start_next()
                return
            if self.phase is Phase.WHOLE:
                self._await(Phase.IDLE, self.limits.idle)
        self.server_state.waiting[self] = None

    def _start_next(self) -> None:
        cycle, app = self.pipeline.pop()
        task = self.loop.create_task(cycle.run_asgi(app))
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    def pause_writing(self) -> None:
        super().pause_writing()
        self.deadline = min(self.deadline, self.loop.time() + self.limits.write_time)
        self.server_state.lag(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self.server_state.unread.pop(self, None)
        if self.phase is Phase.WHOLE:
            self.deadline = math.inf

    def _await(self, phase: Phase, seconds: float) -> None:
        self.phase = phase
        self.deadline = self.loop.time() + seconds
        self.fed = 0

    def _refuse(self, status: int) -> None:
        """Say why, if no other answer is under way, and let the client read it before the connection ends."""
        answered = self.phase is Phase.BODY and self.cycle.response_complete
        if answered:
            self.transport.write_eof()
        elif self.pipeline or (self._answering and self.cycle.response_started):
            self.cycle.keep_alive = False
        else:
            if self._answering:
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self.transport.write(whole(self.server_state.refuse(status, self.headers or ())))
            self.transport.write_eof()
        self._await(Phase.REFUSED, _LINGER)
        self.server_state.waiting[self] = None

    def overdue(self) -> None:
        if self.phase in (Phase.HEADERS, Phase.BODY) and not self.transport.is_closing():
            self._refuse(408)
        else:
            self.cut()

    def cut(self) -> None:
        self.server_state.leave(self)
        self.transport.abort()
