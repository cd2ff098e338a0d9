"""The threads that send: one per signal, daemons, none of which the event loop ever waits for."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from otelhealth.complaint import Complaint
from otelhealth.errors import one_line
from otelhealth.redaction import Redactor
from otelhealth.spool import SignalName
from otelhealth.telemetry.sender import Outcome, Sender
from otelhealth.telemetry.settings import Batched
from otelhealth.telemetry.wire import Envelope, Scoped

_log = logging.getLogger(__name__)
_SAID = 300  # characters of a receiver's own reason
Count = Callable[[str | None, int], None]  # (error.type or None, items)


class Ledger:
    """Counts what was sent and lost of one signal without the spool, and says it once when that changes."""

    def __init__(self, signal: SignalName, count: Count, redact: Redactor | None = None) -> None:
        self._redact = Redactor() if redact is None else redact
        self._signal = signal
        self._count = count
        self._complaint = Complaint(_log)

    def enter(self, outcome: Outcome, items: int) -> None:
        lost = items if outcome.error_type else min(items, outcome.rejected)
        problem = outcome.error_type or ("rejected" if lost else None)
        if items > lost:
            self._count(None, items - lost)
        if lost:
            self._count(problem, lost)
        if problem is None:
            self._complaint.withdraw("export of %s works again", self._signal)
        else:
            said = one_line(self._redact(outcome.message), _SAID) or problem
            sentence = "export of %s fails: %s; further failures are only counted"
            self._complaint.make(problem, sentence, self._signal, said)

    def leave_out(self, reason: str, items: int) -> None:
        """Count what was not even to be sent."""
        self._count(reason, items)

    def overflow(self, items: int) -> None:
        self.enter(Outcome("queue_full", "more waits than may wait (max_queue)"), items)


class Exporter:
    """A thread that sends what `_requests` gives, when `_wait` says so."""

    def __init__(self, signal: SignalName, sender: Sender) -> None:
        self._sender = sender
        self._closing = threading.Event()
        self._signal = signal
        self._thread = self._new_thread()

    def _new_thread(self) -> threading.Thread:
        return threading.Thread(target=self._work, name=f"otelhealth-{self._signal}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Send what is there and end; `join` waits for it."""
        self._closing.set()

    def join(self, timeout: float) -> bool:
        """Whether all was sent within `timeout` seconds; else the thread is left behind."""
        if self._thread.ident is not None:
            self._thread.join(max(0.0, timeout))
        return not self._thread.is_alive()

    def stop_retrying(self) -> None:
        self._sender.close()

    def _work(self) -> None:
        while not self._closing.is_set():
            self._wait()
            self._send_all()

    def _send_all(self) -> None:
        for body, items in self._requests():
            self._sender.send(body, items)

    def _wait(self) -> None:
        raise NotImplementedError

    def _requests(self) -> Iterator[tuple[bytes, int]]:
        raise NotImplementedError


class ItemExporter(Exporter):
    """Spans or log records, encoded where they ended; sleeps for good while there are none."""

    def __init__(
        self, signal: SignalName, sender: Sender, ledger: Ledger, envelope: Envelope, settings: Batched
    ) -> None:
        super().__init__(signal, sender)
        self._ledger = ledger
        self._envelope = envelope
        self._settings = settings
        self._many = settings.max_queue // 2 + 1  # from which on they are sent early
        self._reset()
        _alive.add(self)

    def _reset(self) -> None:
        self._items: deque[bytes | Scoped] = deque()
        self._overflow = 0
        self._asleep = False
        self._filled, self._hurry = threading.Event(), threading.Event()

    def put(self, item: bytes | Scoped) -> None:
        """Queue one encoded item; never blocks."""
        if len(self._items) >= self._many and not self._has_room():
            return
        self._items.append(item)
        if self._asleep:
            self._wake()

    def leave_out(self, reason: str, items: int) -> None:
        """Count items that were not queued, for one of few reasons, as `error.type`."""
        self._ledger.leave_out(reason, items)

    def close(self) -> None:
        super().close()
        self._filled.set()
        self._hurry.set()

    def forked(self) -> None:
        """In a forked child: what waits is the parent's, and the thread comes with the first item."""
        self._reset()
        self._asleep = True
        self._closing = threading.Event()
        self._thread = self._new_thread()

    def _has_room(self) -> bool:
        if len(self._items) >= self._settings.max_queue:
            self._overflow += 1
            return False
        if not self._hurry.is_set():
            self._hurry.set()
        return True

    def _wake(self) -> None:
        self._filled.set()
        if self._thread.ident is None:
            with _starting:
                if self._thread.ident is None:
                    self._thread.start()

    def _wait(self) -> None:
        self._hurry.wait(self._settings.delay)
        if not self._items:
            self._sleep()
            self._hurry.wait(self._settings.delay)
        if not self._closing.is_set():
            self._hurry.clear()

    def _sleep(self) -> None:
        """Until there is an item, or the end; while items keep coming nobody has to wake the thread."""
        self._asleep = True
        if not self._items and not self._closing.is_set():
            self._filled.wait()
        self._asleep = False
        self._filled.clear()

    def _requests(self) -> Iterator[tuple[bytes, int]]:
        if self._overflow:
            lost, self._overflow = self._overflow, 0
            self._ledger.overflow(lost)
        while self._items:
            batch = [self._items.popleft() for _ in range(min(len(self._items), self._settings.max_batch))]
            yield self._envelope.request(batch), len(batch)


class MetricExporter(Exporter):
    """All series, every `interval` seconds and once more at the end."""

    def __init__(
        self,
        sender: Sender,
        requests: Callable[[], Iterable[tuple[bytes, int]]],
        interval: float,
    ) -> None:
        super().__init__("metrics", sender)
        self._collect = requests
        self._interval = interval
        self._next = time.monotonic() + interval

    def _wait(self) -> None:
        self._closing.wait(max(0.0, self._next - time.monotonic()))
        self._next = max(self._next + self._interval, time.monotonic())

    def _requests(self) -> Iterator[tuple[bytes, int]]:
        yield from self._collect()


_alive: weakref.WeakSet[ItemExporter] = weakref.WeakSet()
_starting = threading.Lock()


def _forked() -> None:
    """The agent's own metrics are sent by the parent alone."""
    for exporter in list(_alive):
        exporter.forked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
