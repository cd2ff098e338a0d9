"""The queues of all signals in one spool: bounded by bytes and age, in order, thread-safe."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence

from otelhealth.spool.file import File, size_of
from otelhealth.spool.letter import Content, Letter
from otelhealth.spool.settings import SIGNALS, SignalName, SpoolSettings
from otelhealth.spool.shelf import Shelf
from otelhealth.spool.tally import Reason, Tally
from otelhealth.units import duration_text, size_text

RECEIVED_SHARE = 0.75  # of the room that what was received may fill; the agent's own gives way to it down to the rest
log = logging.getLogger("otelhealth.spool")


class Queue:
    """Opened when it is first used, by `shelf`; again in a forked child, which gets a spool of its own."""

    def __init__(self, shelf: Callable[[], Shelf], settings: SpoolSettings, content: Content) -> None:
        self._make = shelf
        self._settings = settings
        self._content = content
        self._opened: Shelf | None = None
        self._closed = False
        self._lock = threading.RLock()
        self._busy: dict[SignalName, int] = {}  # numbers that are being sent
        self._said: set[str] = set()
        self.tallies = {signal: Tally() for signal in SIGNALS}

    def path(self) -> str:
        """The file, "" for memory; opens it where nobody has yet."""
        with self._lock:
            return self._shelf().path

    def _shelf(self) -> Shelf:
        """Under the lock only."""
        if self._opened is None:
            self._opened = self._make()
        return self._opened

    def put(self, letter: Letter) -> None:
        """Returns when it is on disk (in memory, while the disk refuses); where there is no room the oldest goes."""
        with self._lock:
            shelf = self._shelf()
            shelf.look()
            shelf.keep_time()
            letter = letter._replace(number=shelf.next_number(), at=shelf.ages.now())
            for file, most in () if self._closed else shelf.writable():
                try:
                    if not self._has_room(file, most, letter):
                        break
                    file.add(letter)
                except sqlite3.Error as error:
                    shelf.fail(error)
                else:
                    return
        self._drop(letter, "size")

    def put_received(self, letters: Sequence[Letter]) -> list[bool]:
        """Keep them together, as many as have room; for each whether it had. See `put`."""
        with self._lock:
            shelf = self._shelf()
            shelf.look()
            shelf.keep_time()
            numbered = [letter._replace(number=shelf.next_number(), at=shelf.ages.now()) for letter in letters]
            for file, most in () if self._closed else shelf.writable():
                try:
                    fitting = self._fitting(file, most, numbered)
                    file.exchange(fitting)
                except sqlite3.Error as error:
                    shelf.fail(error)
                else:
                    kept = {letter.number for letter in fitting}
                    return [letter.number in kept for letter in numbered]
        return [False] * len(letters)

    def take(self, signal: SignalName) -> Letter | None:
        """The oldest of a signal that is young enough; its place is kept until `settle` or `release`."""
        while True:
            with self._lock:
                shelf = self._shelf()
                letter = None if self._closed else shelf.first(signal)
                if letter is None:
                    if not self._closed and not any(file.size() for file in shelf.files()):
                        self._said.clear()
                        shelf.give_back()
                    return None
                if shelf.ages.now() - letter.at <= self._settings.max_age:
                    self._busy[signal] = letter.number
                    return letter
                shelf.forget(letter)
                self._drop(letter, "age")

    def release(self, letter: Letter) -> None:
        """It could not be sent, and waits on."""
        self._busy.pop(letter.signal, None)

    def settle(self, letter: Letter) -> None:
        """It is delivered, or can never be."""
        with self._lock:
            self._busy.pop(letter.signal, None)
            if not self._closed:
                self._shelf().forget(letter)

    def split(self, letter: Letter, halves: tuple[Letter, ...]) -> bool:
        """Let its halves stand in its place; False where that has been done too often."""
        width = (letter.number & -letter.number) // 2
        if not width:
            return False
        numbers = (letter.number - width, letter.number + width)
        parts = [half._replace(number=number, at=letter.at) for half, number in zip(halves, numbers, strict=True)]
        with self._lock:
            self._busy.pop(letter.signal, None)
            if not self._closed:
                self._shelf().replace(letter, parts)
        return True

    def lose(self, letter: Letter, items: int, reason: Reason, error_type: str) -> None:
        """Count items that are gone for good."""
        with self._lock:
            tally = self.tallies[letter.signal]
            tally.dropped[reason] += items
            if not letter.received:
                tally.lost[error_type] += items

    def used(self, signal: SignalName) -> tuple[int, int]:
        """(requests, bytes) that wait; known without waiting for the disk."""
        files = self._opened.files() if self._opened else ()
        found = [size for file in files for (of, _), size in list(file.used.items()) if of == signal]
        return sum(size.letters for size in found), sum(size.bytes for size in found)

    def age(self, at: float | None) -> float:
        """Seconds since that time of the spool's clock."""
        return max(0.0, self._opened.ages.now() - at) if self._opened and at is not None else 0.0

    def place(self) -> tuple[str, str]:
        """The file ("" for memory) and why the disk cannot be used ("" where it can); known without waiting for it."""
        return (self._opened.path, self._opened.problem) if self._opened else ("", "")

    def close(self) -> None:
        """What waits stays on disk; what is in memory is lost, and said. From now on nothing is taken or given."""
        with self._lock:
            if self._opened is not None and not self._closed:
                self._opened.close()
            self._closed = True

    def forked(self) -> None:
        """In a forked child: what waits is the parent's."""
        self._lock = threading.RLock()
        self._busy.clear()
        self.tallies = {signal: Tally() for signal in SIGNALS}
        if self._opened is not None:
            self._opened.abandon()
            self._opened = None

    def _fitting(self, file: File, most: int, letters: Sequence[Letter]) -> list[Letter]:
        """Those that there is room for, one beside the other."""
        fitting: list[Letter] = []
        for letter in letters:
            if self._has_room(file, most, letter, sum(map(size_of, fitting))):
                fitting.append(letter)
        return fitting

    def _has_room(self, file: File, most: int, letter: Letter, beside: int = 0) -> bool:
        """Whether there is, or could be made, in place of the oldest of the agent's own."""
        size = size_of(letter) + beside
        if file.size(received=True) + size > (most * RECEIVED_SHARE if letter.received else most):
            return False
        while file.size() + size > most:
            oldest = file.oldest_own(self._busy.values())
            if oldest is None:
                return False
            file.forget(oldest)
            self._drop(oldest, "size")
        return True

    def _drop(self, letter: Letter, reason: Reason) -> None:
        self.lose(letter, letter.items or self._content.count(letter), reason, reason)
        if reason in self._said:
            return
        self._said.add(reason)
        if reason == "age":
            log.error(
                "what waits longer than %s is dropped; raise telemetry.otlp.spool.max_age",
                duration_text(self._settings.max_age),
            )
        else:
            log.error(
                "the spool is full (%s), the oldest is dropped; raise telemetry.otlp.spool.max_size",
                size_text(self._settings.max_size),
            )
