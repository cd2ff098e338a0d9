"""The spool as the other rooms see it: put a request in, and it is delivered sooner or later."""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections.abc import Collection, Mapping, Sequence

from otelhealth.clock import SYSTEM, Clock
from otelhealth.records import ExportRecord, SignalRecord
from otelhealth.spool.delivery import Delivery
from otelhealth.spool.letter import Content, Letter
from otelhealth.spool.place import Place
from otelhealth.spool.post import Post
from otelhealth.spool.queue import Queue
from otelhealth.spool.settings import Otlp, SignalName, SpoolSettings
from otelhealth.spool.shelf import Shelf
from otelhealth.spool.tally import REASONS

PATIENCE = 0.5  # of the time that an end may take is for deliveries; after it those that go on are broken off
STALLED = 1.0  # s without one after which they are, too


class Spool:
    """Delivers to `receivers`, from a file at `place` (None: from memory). Nothing happens before its first use."""

    def __init__(
        self,
        receivers: Mapping[SignalName, Otlp],
        place: Place | None,
        settings: SpoolSettings,
        content: Content,
        clock: Clock = SYSTEM,
    ) -> None:
        self._receivers = receivers
        self._content = content
        self._clock = clock
        self._posts = {signal: Post(receiver, content) for signal, receiver in receivers.items()}
        self._place = place
        self.settings = settings
        self.queue = Queue(lambda: Shelf(place, settings.max_size, clock), settings, content)
        self._deliveries: dict[SignalName, Delivery] = {}
        self._lock = threading.Lock()
        self._closed = False
        _alive.add(self)

    @property
    def signals(self) -> Collection[SignalName]:
        """Those that are sent from here."""
        return self._receivers.keys()

    def start(self) -> None:
        """Deliver what an earlier process left."""
        for signal in self._receivers:
            self._wake(signal)

    def put(self, letter: Letter) -> None:
        """Keep a request of this process until its receiver has it; returns when it is committed. From any thread.

        Its items are counted when needed, where it does not tell them. Raises KeyError where nothing of its signal is
        sent over HTTP.
        """
        if letter.signal not in self._receivers:
            raise KeyError(letter.signal)
        self.queue.put(letter)
        self._wake(letter.signal)

    def keep_received(self, letters: Sequence[Letter]) -> list[bool]:
        """Keep requests that were received in one commit; for each whether there was room for it. See `put`."""
        kept = self.queue.put_received(letters)
        for signal in {letter.signal for letter, fits in zip(letters, kept, strict=True) if fits}:
            self._wake(signal)
        return kept

    def path(self) -> str:
        """The file that it has, "" for memory; opens it where nobody has yet."""
        return self.queue.path()

    def record(self) -> ExportRecord:
        """Its state; from memory."""
        path, problem = self.queue.place()
        signals: dict[str, SignalRecord] = {signal: self._signal(signal) for signal in self._receivers}
        return ExportRecord(
            path=path or None,
            problem=problem or None,
            usage_bytes=sum(record["usage_bytes"] for record in signals.values()),
            limit_bytes=self.settings.max_size,
            signals=signals,
        )

    def _signal(self, signal: SignalName) -> SignalRecord:
        tally = self.queue.tallies[signal]
        waiting, size = self.queue.used(signal)
        delivery = self._deliveries.get(signal)
        trouble = delivery.trouble if delivery else None
        return SignalRecord(
            status="held" if trouble else "delivering",
            waiting=waiting,
            usage_bytes=size,
            oldest_seconds=round(self.queue.age(delivery.oldest if delivery and waiting else None), 1),
            sent=tally.requests["sent"],
            retried=tally.requests["retried"],
            rejected=tally.requests["rejected"],
            duplicate=tally.requests["duplicate"],
            dropped={reason: tally.dropped[reason] for reason in REASONS},
            error_type=trouble.error_type if trouble else None,
            error=trouble.said if trouble else None,
            since=int(trouble.since) if trouble else None,
        )

    def close(self, timeout: float) -> bool:
        """Deliver what can be delivered within `timeout` seconds; whether all threads ended. The rest stays on disk."""
        began = time.monotonic()
        with self._lock:
            self._closed = True
            deliveries = list(self._deliveries.values())
        for delivery in deliveries:
            delivery.close()
        if not self._drained(deliveries, began + timeout * PATIENCE):
            for delivery in deliveries:
                delivery.abort()
        ended = all(delivery.join(began + timeout - time.monotonic()) for delivery in deliveries)
        self.queue.close()
        return ended

    def _drained(self, deliveries: Collection[Delivery], until: float) -> bool:
        """Whether they ended by themselves; they are given no time in vain where what is left is safe on disk."""
        path, problem = self.queue.place()
        sent, last = -1, 0.0
        while not all(delivery.join(0.1) for delivery in deliveries):
            now, before = time.monotonic(), sent
            sent = sum(self.queue.tallies[signal].requests["sent"] for signal in self._receivers)
            last = now if sent != before else last
            if now > until or (path and not problem and now - last > STALLED):
                return False
        return True

    def _wake(self, signal: SignalName) -> None:
        delivery = self._deliveries.get(signal)
        if delivery is not None:
            delivery.wake()
            return
        with self._lock:
            if not self._closed and signal not in self._deliveries:
                self._deliveries[signal] = Delivery(signal, self.queue, self._posts[signal], self._content, self._clock)

    def _forked(self) -> None:
        """In a forked child: nothing of the parent's is sent here; its own file and threads come with its first use."""
        self._lock = threading.Lock()
        self._deliveries = {}
        self._posts = {signal: Post(receiver, self._content) for signal, receiver in self._receivers.items()}
        self.queue.forked()


_alive: weakref.WeakSet[Spool] = weakref.WeakSet()


def _forked() -> None:
    for spool in list(_alive):
        spool._forked()  # noqa: SLF001 - of this module


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
