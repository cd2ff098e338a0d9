"""The thread that delivers one signal's requests in their order; it sleeps for good while there are none."""

from __future__ import annotations

import logging
import random
import threading
import time
from typing import NamedTuple

from otelhealth.clock import Clock
from otelhealth.spool.letter import Content, Letter
from otelhealth.spool.post import Post
from otelhealth.spool.queue import Queue
from otelhealth.spool.settings import SignalName
from otelhealth.spool.verdict import Fate, Verdict
from otelhealth.units import duration_text

MOST_PAUSE = 10.0  # s between two attempts, unless the receiver asks for more
SAY_AGAIN = 300.0  # s after which the same is told once more
log = logging.getLogger("otelhealth.spool")


class Trouble(NamedTuple):
    """Since when and why a signal's queue is held."""

    error_type: str
    said: str  # with the remedy
    since: float  # Unix seconds


class Delivery:
    """Of the requests that `queue` has of `signal`."""

    def __init__(self, signal: SignalName, queue: Queue, post: Post, content: Content, clock: Clock) -> None:
        self._signal = signal
        self._queue = queue
        self._post = post
        self._content = content
        self._clock = clock
        self._tally = queue.tallies[signal]
        self._filled, self._closing = threading.Event(), threading.Event()
        self._aborted = False
        self._failures = 0
        self._doubtful = -1  # number of the request whose answer was lost
        self._said: dict[str, float] = {}  # when
        self._told = False  # whether the present trouble stands in the log
        self.trouble: Trouble | None = None
        self.oldest: float | None = None  # when the request came that is next, in seconds of the spool's clock
        self._thread = threading.Thread(target=self._work, name=f"otelhealth-spool-{signal}", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something to deliver."""
        if not self._filled.is_set():
            self._filled.set()

    def close(self) -> None:
        """Deliver what can be delivered at once, and end."""
        self._closing.set()
        self._filled.set()

    def join(self, timeout: float) -> bool:
        """Whether the thread has ended within `timeout` seconds."""
        self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def abort(self) -> None:
        """End the attempt that is going on."""
        self._aborted = True
        self._post.abort()

    def _work(self) -> None:
        while True:
            self._filled.clear()
            ending = self._closing.is_set()
            letter = self._queue.take(self._signal)
            self.oldest = letter.at if letter is not None else None
            if letter is not None:
                pause = self._deliver(letter)
                if pause and (ending or self._rest(pause)):
                    break
            elif ending:
                break
            elif not self._closing.is_set():
                self._filled.wait()
        self._post.close()

    def _rest(self, pause: float) -> bool:
        """Whether to end now: at the end a receiver that asked for no pause gets one more attempt."""
        return self._closing.wait(pause) and pause > MOST_PAUSE

    def _deliver(self, letter: Letter) -> float:
        """Seconds to wait before the next attempt; 0.0 where the queue goes on."""
        verdict = self._post.attempt(letter)
        match verdict.fate:
            case Fate.SENT:
                self._sent(letter, verdict)
            case Fate.HELD:
                return self._hold(letter, verdict)
            case Fate.SPLIT:
                halves = self._content.halves(letter)
                if not halves or not self._queue.split(letter, halves):
                    self._bury(letter, verdict)
            case Fate.POISON:
                self._bury(letter, verdict)
        return 0.0

    def _sent(self, letter: Letter, verdict: Verdict) -> None:
        self._queue.settle(letter)
        self._tally.requests["sent"] += 1
        self._tally.requests["duplicate"] += letter.number == self._doubtful
        items = letter.items or (verdict.rejected and self._content.count(letter))
        lost = min(items, verdict.rejected)
        if not letter.received:
            self._tally.delivered += items - lost
        if lost:
            self._queue.lose(letter, lost, "partial", "rejected")
        if lost or verdict.said:
            said = f"the receiver took all but {lost} items" if lost else "the receiver took all items"
            self._say("partial", f"{said}: {verdict.said or 'no reason given'}", "see why in its log")
        self._recover()

    def _hold(self, letter: Letter, verdict: Verdict) -> float:
        self._queue.release(letter)
        if self._aborted:
            return MOST_PAUSE
        self._tally.requests["retried"] += 1
        if self._post.may_have_arrived and not verdict.error_type.isdigit():
            self._doubtful = letter.number
        if self.trouble is None or self.trouble.error_type != verdict.error_type:
            since = self.trouble.since if self.trouble else self._clock.time()
            self.trouble = Trouble(verdict.error_type, f"{verdict.said}; {verdict.remedy}", since)
            self._told |= self._say(f"held {verdict.error_type}", f"{verdict.said}, what comes is kept", verdict.remedy)
        self._failures += 1
        pause = min(MOST_PAUSE, 2.0 ** min(self._failures - 1, 10))
        return max(pause * random.uniform(0.5, 1.0), verdict.pause)  # noqa: S311 - spreads attempts

    def _bury(self, letter: Letter, verdict: Verdict) -> None:
        """It can never be delivered: it must not hold up the others."""
        self._queue.settle(letter)
        self._tally.requests["rejected"] += 1
        items = letter.items or self._content.count(letter)
        self._queue.lose(letter, items, "poison", verdict.error_type)
        self._recover()
        self._say(f"poison {verdict.error_type}", f"{verdict.said}, items dropped: {items}", verdict.remedy)

    def _recover(self) -> None:
        """The receiver takes requests, or at least judges them."""
        self._failures = 0
        trouble, self.trouble = self.trouble, None
        if trouble is not None and self._told:
            self._told = False
            lasted = duration_text(max(0.0, self._clock.time() - trouble.since))
            waiting, _ = self._queue.used(self._signal)
            log.warning("export of %s works again after %s; requests waiting: %d", self._signal, lasted, waiting)

    def _say(self, kind: str, sentence: str, remedy: str) -> bool:
        """Not more often than every few minutes: a receiver may change its mind with each request."""
        now = time.monotonic()
        if now - self._said.get(kind, -SAY_AGAIN) < SAY_AGAIN:
            return False
        self._said[kind] = now
        log.error("export of %s: %s; %s (further ones are only counted)", self._signal, sentence, remedy)
        return True
