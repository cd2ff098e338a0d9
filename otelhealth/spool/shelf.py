"""Where requests wait: a file on disk, and memory while the disk refuses. Used by one thread at a time."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Sequence

from otelhealth.clock import Clock
from otelhealth.complaint import Complaint
from otelhealth.spool.ages import Ages
from otelhealth.spool.file import STEP, File, next_number
from otelhealth.spool.home import REFUSED, Home
from otelhealth.spool.letter import Letter
from otelhealth.spool.place import ANCHOR, Place
from otelhealth.spool.settings import SignalName
from otelhealth.sqlite import is_corrupt
from otelhealth.units import size_text

RETRY = 5.0  # s until a disk that refused is tried again
MOST_IN_MEMORY = 16 * 2**20  # bytes, while the disk refuses
_LATEST = 2**42 - 2**40  # ms, in the year 2074: below SQLite's last number there is room for a million million then
log = logging.getLogger("otelhealth.spool")


class Shelf:
    """Opens what `place` names, None for memory alone; of which at most `max_size` bytes may be used."""

    def __init__(self, place: Place | None, max_size: int, clock: Clock) -> None:
        self._clock = clock
        self._home = Home(place, clock)
        self._memory = File(None)
        self._most = max_size
        self._least = max_size if place is None else min(max_size, MOST_IN_MEMORY)
        self._next_try = 0.0
        self._done: dict[SignalName, int] = {}  # the last of each signal that is delivered and still stands on the disk
        self._complaint = Complaint(log)  # that the disk is not used
        # above all that a disk may hold which can be used only later
        self._last = min(int(clock.time() * 1000), _LATEST) * STEP if place is not None else 0
        self._claim()

    @property
    def _disk(self) -> File | None:
        return self._home.file

    @property
    def path(self) -> str:
        """Of the file; "" for memory."""
        return str(self._disk.path) if self._disk else ""

    @property
    def problem(self) -> str:
        """Why the disk is not used."""
        return self._complaint.problem

    @property
    def ages(self) -> Ages:
        """The clock that tells how old a request is."""
        return self._home.ages

    def next_number(self) -> int:
        self._last = next_number(self._last)
        return self._last

    def files(self) -> tuple[File, ...]:
        """Oldest first: what is on disk came before what is in memory."""
        return (self._disk, self._memory) if self._disk else (self._memory,)

    def writable(self) -> Iterator[tuple[File, int]]:
        """Where to put a request, best first, each with the bytes it may hold."""
        if self.problem and self._clock.monotonic() >= self._next_try:
            self._return()
        if (disk := self._disk) is not None and not self.problem:
            yield disk, self._most
            if self._disk is not None and self._disk is not disk:  # which was damaged
                yield self._disk, self._most
        yield self._memory, self._least

    def first(self, signal: SignalName) -> Letter | None:
        """The oldest of a signal."""
        found = None
        if self._disk is not None:
            try:
                found = self._disk.first(signal, self._done.get(signal, 0))
            except sqlite3.Error as error:
                self.fail(error)
        return found or self._memory.first(signal, 0)

    def forget(self, letter: Letter) -> None:
        """It is delivered, or dropped from the head of its signal's queue."""
        if self._memory.forget(letter) or self._disk is None:
            return
        try:
            self._disk.forget(letter)
        except sqlite3.Error as error:
            self._done[letter.signal] = letter.number
            self.fail(error)

    def replace(self, letter: Letter, parts: Sequence[Letter]) -> None:
        """In its place stand others."""
        for file in self.files():
            try:
                if file.holds(letter):
                    file.exchange(parts, without=letter)
                    return
            except sqlite3.Error as error:
                self.fail(error)
        self.forget(letter)
        self._memory.exchange(parts)

    def look(self) -> None:
        """Where somebody deleted or replaced the file, what waits in it, which is still open, goes on in another."""
        if self._disk is None or self._disk.is_there():
            return
        try:
            waiting = [one for one in self._disk.every() if one.number > self._done.get(one.signal, 0)]
        except sqlite3.Error as error:
            self.fail(error)
            return
        self._memory.exchange(waiting)
        self._done.clear()
        self._home.leave()
        self.fail(FileNotFoundError("its file was deleted or replaced while it was used"))
        self._return()

    def keep_time(self) -> None:
        """Let the ages in the file follow a wall clock that jumped."""
        if self.ages.jumped() and self._disk is not None:
            try:
                self._disk.say(ANCHOR, str(self.ages.anchor))
            except sqlite3.Error as error:
                self.fail(error)

    def fail(self, error: Exception) -> None:
        """The disk refused: memory has to do. A damaged file is moved aside and a new one begun at once."""
        if isinstance(error, sqlite3.Error) and is_corrupt(error):
            waiting = sum(size.letters for size in self._disk.used.values()) if self._disk else 0
            try:
                self._home.renew(str(error))
                log.error("requests that waited in the damaged spool and are lost: %d", waiting)
            except REFUSED as again:
                error = again
            else:
                return
        if not self.problem:
            self._next_try = self._clock.monotonic() + RETRY
        sentence = "the spool cannot use its disk (%s): it keeps %s in memory, which a crash loses"
        self._complaint.make(error, sentence, error, size_text(self._least))

    def give_back(self) -> None:
        """Nothing waits: make the file small again."""
        if self._disk is not None and not self.problem:
            try:
                self._disk.give_back()
            except sqlite3.Error as error:
                self.fail(error)

    def close(self) -> None:
        """What is on disk stays; what is in memory alone is lost, and said."""
        self.look()
        if self.problem:
            self._return()
        self._home.leave()
        lost = sum(size.letters for size in self._memory.used.values())
        if lost:
            log.error("%d requests could not be delivered and are lost, because the spool is in memory", lost)
        self._memory.close()

    def abandon(self) -> None:
        """In a forked child: what waits is the parent's."""
        self._home.abandon()

    def _claim(self) -> None:
        try:
            taken = self._home.claim()
        except REFUSED as error:
            self.fail(error)
            return
        if self._disk is not None and not self._memory.size():
            self._last = self._disk.last[0]
        if taken:
            log.warning("%d requests that a dead process left are sent first", taken)

    def _return(self) -> None:
        """Bring what waits in memory to the disk, if it takes it again."""
        self._next_try = self._clock.monotonic() + RETRY
        before = self.ages
        if self._disk is None:
            self._claim()
        if self._disk is None:
            return
        waiting = list(self._memory.every())
        later = self.ages.now() - before.now()
        try:
            for signal, number in self._done.items():
                self._disk.forget_until(signal, number)
            self._done.clear()
            self._disk.exchange(letter._replace(at=letter.at + later) for letter in waiting)
        except sqlite3.Error as error:
            self.fail(error)
            return
        for letter in waiting:
            self._memory.forget(letter)
        self._complaint.withdraw(
            "the spool can use its disk again; %d requests came back to it from memory", len(waiting)
        )
