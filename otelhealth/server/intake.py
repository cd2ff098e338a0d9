"""Makes durable what was received: one thread looks at it and keeps it, the event loop never waits for the disk.

What comes while it is busy goes together in its next round, and each sender is answered once his own is kept.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Protocol

from otelhealth.server.otlp import Refusal
from otelhealth.spool import Letter, SignalName
from otelhealth.spool.letter import TooLargeError
from otelhealth.telemetry.content import is_json
from otelhealth.telemetry.follower import Follower
from otelhealth.telemetry.reading import check
from otelhealth.telemetry.reading_json import check_json

PATIENCE = 8.0  # s within which one is kept: senders wait for 10 s
FULL = Refusal(503, "the spool is full: what it holds is delivered first", wait=5)
SLOW = Refusal(503, "the disk does not keep up with what comes in", wait=5)
TOO_LARGE = Refusal(413, "the body unpacks to more than telemetry.receive.limits.body_size")
BROKEN = Refusal(503, "the agent could not take it; the reason is in its log", wait=5)
_ROUND = 64  # requests


class Spool(Protocol):
    """Where requests wait until they are delivered."""

    @property
    def signals(self) -> Collection[SignalName]: ...

    def keep_received(self, letters: Sequence[Letter]) -> Sequence[bool]: ...


class _Waiting:
    """A request, and its sender, who may be gone before it is looked at."""

    __slots__ = ("given_up", "letter", "refusal")

    def __init__(self, letter: Letter, refusal: asyncio.Future[Refusal | None]) -> None:
        self.letter = letter
        self.refusal = refusal  # None once it is kept
        self.given_up = False


class Intake:
    """Used in one event loop; what comes for a signal that `spool` does not send is read and let go."""

    def __init__(self, spool: Spool | None, follower: Follower, body_size: int) -> None:
        self._spool = spool
        self._sent = frozenset(spool.signals if spool else ())
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

    async def take(self, letter: Letter) -> Refusal | None:
        """None once the request is kept."""
        waiting = _Waiting(letter, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._begin_round()
        try:
            async with asyncio.timeout(PATIENCE):
                return await waiting.refusal
        except TimeoutError:
            return SLOW
        finally:
            waiting.given_up = True

    def _begin_round(self) -> None:
        if self._waiting and not self._busy:
            self._busy = True
            self._rounds.put(self._waiting[:_ROUND])
            del self._waiting[:_ROUND]

    def _end_round(self, together: Sequence[_Waiting], refusals: Sequence[Refusal | None]) -> None:
        """Without any, not even None, the thread has broken down: another takes its place."""
        for waiting, refusal in zip(together, refusals or [BROKEN] * len(together), strict=True):
            if not waiting.refusal.done():
                waiting.refusal.set_result(refusal)
        if not refusals:
            self.start()
        self._busy = False
        self._begin_round()

    def _work(self, loop: asyncio.AbstractEventLoop) -> None:
        while together := self._rounds.get():
            refusals: Sequence[Refusal | None] = ()
            try:
                refusals = self._take(together)
            finally:
                ended = partial(self._end_round, together, refusals)
                with suppress(RuntimeError):  # the loop has been closed: nobody waits any more
                    loop.call_soon_threadsafe(ended)

    def _take(self, together: Sequence[_Waiting]) -> list[Refusal | None]:
        """Keeps what is sound with one commit."""
        refusals = [SLOW if waiting.given_up else self._refuses(waiting.letter) for waiting in together]
        sound = [number for number, refusal in enumerate(refusals) if refusal is None]
        letters = [together[number].letter for number in sound]
        for number, fits in zip(sound, self._keep(letters), strict=True):
            letter = together[number].letter
            if not fits:
                refusals[number] = FULL
            elif letter.signal == "metrics":
                self._follower.follow(letter)
        return refusals

    def _refuses(self, letter: Letter) -> Refusal | None:
        try:
            plain = letter.plain(self._body_size).body
            if is_json(letter.content_type):
                check_json(plain, letter.signal)
            else:
                check(plain)
        except TooLargeError:
            return TOO_LARGE
        except ValueError as error:
            return Refusal(400, f"this is no OTLP request for {letter.signal}: {error}")
        return None

    def _keep(self, letters: Sequence[Letter]) -> list[bool]:
        """For each whether it is kept, or need not be."""
        sent = [letter for letter in letters if letter.signal in self._sent]
        kept = iter(self._spool.keep_received(sent) if self._spool and sent else ())
        return [letter.signal not in self._sent or next(kept) for letter in letters]
