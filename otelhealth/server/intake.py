"""Makes durable what was received: one thread looks at it and keeps it, the event loop never waits for the disk.

What comes while it is busy goes together in its next round, and each sender is answered once his own is kept.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from itertools import zip_longest
from queue import SimpleQueue
from typing import NamedTuple, Protocol

from otelhealth.server.otlp import Refusal
from otelhealth.server.unpack import TooLargeError, unpacked
from otelhealth.spool import SignalName, SpoolFullError
from otelhealth.telemetry.follower import Follower
from otelhealth.telemetry.reading import check
from otelhealth.telemetry.reading_json import check_json

PATIENCE = 8.0  # s within which one is kept: senders wait for 10 s
FULL = Refusal(503, "the spool is full: what it holds is delivered first", wait=5)
SLOW = Refusal(503, "the disk does not keep up with what comes in", wait=5)
TOO_LARGE = Refusal(413, "the body unpacks to more than telemetry.receive.limits.body_size")
BROKEN = Refusal(503, "the agent could not take it; the reason is in its log", wait=5)
_ROUND = 64  # requests


class Incoming(NamedTuple):
    """A request as it came."""

    signal: SignalName
    body: bytes
    content_type: str
    content_encoding: str
    is_json: bool


class Spool(Protocol):
    """Where requests wait until they are delivered."""

    @property
    def signals(self) -> Collection[SignalName]: ...

    def put(  # noqa: PLR0913 - a request, as it stands on the wire
        self,
        signal: SignalName,
        body: bytes,
        content_type: str,
        content_encoding: str = "",
        *,
        received: bool = False,
        items: int = 0,
    ) -> None: ...


class _Waiting:
    """A request, and its sender, who may be gone before it is looked at."""

    __slots__ = ("answer", "given_up", "incoming")

    def __init__(self, incoming: Incoming, answer: asyncio.Future[Refusal | None]) -> None:
        self.incoming = incoming
        self.answer = answer
        self.given_up = False


class Intake:
    """Used in one event loop; what comes for a signal that `spool` does not send is read and let go."""

    def __init__(self, spool: Spool | None, follower: Follower, body_size: int) -> None:
        self._spool = spool
        self._follower = follower
        self._body_size = body_size
        self._waiting: list[_Waiting] = []
        self._busy = False
        self._rounds: SimpleQueue[Sequence[_Waiting]] = SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._work, args=(self._loop,), name="otelhealth-receive", daemon=True).start()

    def stop(self) -> None:
        """Once nobody waits any more."""
        self._rounds.put(())

    async def take(self, incoming: Incoming) -> Refusal | None:
        """None once the request is kept."""
        waiting = _Waiting(incoming, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._begin_round()
        try:
            async with asyncio.timeout(PATIENCE):
                return await waiting.answer
        except TimeoutError:
            return SLOW
        finally:
            waiting.given_up = True

    def _begin_round(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            self._rounds.put(self._waiting[:_ROUND])
            del self._waiting[:_ROUND]

    def _end_round(self, together: Sequence[_Waiting], answers: Sequence[Refusal | None], *, broken: bool) -> None:
        for waiting, answer in zip_longest(together, answers, fillvalue=BROKEN):
            if isinstance(waiting, _Waiting) and not waiting.answer.done():
                waiting.answer.set_result(answer)
        if broken:
            self.start()
        self._busy = False
        self._begin_round()

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while together := self._rounds.get():
            answers: list[Refusal | None] = []
            try:
                answers.extend(SLOW if each.given_up else self._take(each.incoming) for each in together)
            finally:
                ended = partial(self._end_round, together, answers, broken=len(answers) < len(together))
                with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                    loop.call_soon_threadsafe(ended)

    def _take(self, incoming: Incoming) -> Refusal | None:
        signal = incoming.signal
        try:
            plain = unpacked(incoming.body, incoming.content_encoding, self._body_size)
            if incoming.is_json:
                check_json(plain, signal)
            else:
                check(plain)
        except TooLargeError:
            return TOO_LARGE
        except ValueError as error:
            return Refusal(400, f"this is no OTLP request for {signal}: {error}")
        if self._spool is not None and signal in self._spool.signals:
            try:
                encoding = incoming.content_encoding
                self._spool.put(signal, incoming.body, incoming.content_type, encoding, received=True)
            except SpoolFullError:
                return FULL
        if signal == "metrics":
            self._follower.follow(plain, is_json=incoming.is_json)
        return None
