"""The threads that send: one per signal, daemons, none of which the event loop ever waits for."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator

from otelhealth.errors import one_line
from otelhealth.spool import SignalName
from otelhealth.telemetry.sender import Outcome, Sender
from otelhealth.telemetry.settings import Batched
from otelhealth.telemetry.wire import Envelope

_log = logging.getLogger(__name__)
_SAID = 300  # characters of a receiver's own reason
Count = Callable[[str | None, int], None]  # (error.type or None, items)


class Ledger:
    """Counts what was sent and lost of one signal without the spool, and says it once when that changes."""

    def __init__(self, signal: SignalName, count: Count) -> None:
        self._signal = signal
        self._count = count
        self._failing = False

    def enter(self, outcome: Outcome, items: int) -> None:
        lost = items if outcome.error_type else min(items, outcome.rejected)
        problem = outcome.error_type or ("rejected" if lost else None)
        if items > lost:
            self._count(None, items - lost)
        if lost:
            self._count(problem, lost)
        if (problem is not None) == self._failing:
            return
        self._failing = problem is not None
        if problem is None:
            _log.warning("export of %s works again", self._signal)
        else:
            said = one_line(outcome.message, _SAID) or problem
            _log.error("export of %s fails: %s; further failures are only counted", self._signal, said)

    def overflow(self, items: int) -> None:
        self.enter(Outcome("queue_full", "more waits than may wait (max_queue)"), items)


class Exporter:
    """A thread that sends what `_requests` gives, when `_wait` says so."""

    def __init__(self, signal: SignalName, sender: Sender) -> None:
        self._sender = sender
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name=f"otelhealth-{signal}", daemon=True)

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
        self._items: deque[bytes] = deque()
        self._overflow = 0
        self._asleep = False
        self._filled = threading.Event()

    def put(self, item: bytes) -> None:
        """Queue one encoded item; never blocks."""
        if len(self._items) >= self._settings.max_queue:
            self._overflow += 1
            return
        self._items.append(item)
        if self._asleep:
            self._filled.set()

    def close(self) -> None:
        super().close()
        self._filled.set()

    def _wait(self) -> None:
        self._closing.wait(self._settings.delay)
        if not self._items:
            self._sleep()
            self._closing.wait(self._settings.delay)

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
