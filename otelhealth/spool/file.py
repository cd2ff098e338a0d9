"""The SQLite file in which requests wait; or the same in memory. Used by one thread at a time."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from otelhealth.spool.letter import Letter
from otelhealth.spool.settings import SignalName
from otelhealth.units import MEMORY

VERSION = 1
# A number is the middle of a range whose half is its lowest bit: a request that has to be split leaves its place to
# two that stand in the middles of its halves, in order with all others.
STEP = 2**21
FIRST = STEP // 2
_SCHEMA = """
CREATE TABLE letters (number INTEGER PRIMARY KEY, signal TEXT NOT NULL, at REAL NOT NULL, items INTEGER NOT NULL,
    received INTEGER NOT NULL, type TEXT NOT NULL, encoding TEXT NOT NULL, body BLOB NOT NULL);
CREATE INDEX letters_of_signal ON letters (signal, number);
CREATE INDEX own_letters ON letters (number) WHERE received = 0;
CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_COLUMNS = "signal, body, type, encoding, items, received, number, at"
_GIVE_BACK = 256  # free pages from which on the file is made smaller once it is empty
_OVERHEAD = 100  # bytes of a row beside its body


class Size(NamedTuple):
    """How much waits."""

    letters: int
    bytes: int


def next_number(last: int) -> int:
    """The number of what comes after all up to `last`."""
    return (last + FIRST) // STEP * STEP + FIRST


def size_of(letter: Letter) -> int:
    """Bytes that it takes of the spool's room."""
    return len(letter.body) + _OVERHEAD


class File:
    """Of the database at `path`, None for one in memory. All of it raises sqlite3.Error where the disk refuses.

    Without `make` it has to be one of ours already.
    """

    def __init__(self, path: Path | None, *, make: bool = True) -> None:
        self.path = path
        if path is not None and make:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self.used: dict[tuple[SignalName, bool], Size] = {}  # by signal and whether it was received
        self._connection = sqlite3.connect(path or MEMORY, check_same_thread=False, timeout=2, isolation_level=None)
        try:
            self._prepare(make)
        except BaseException:
            self._connection.close()
            raise

    def _prepare(self, make: bool) -> None:
        run = self._connection.execute
        # nobody waits for the disk while a new file is made: one that breaks meanwhile is set aside as damaged
        run("PRAGMA synchronous = OFF")
        run("PRAGMA auto_vacuum = INCREMENTAL")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA journal_size_limit = 4194304")
        (version,) = run("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise sqlite3.NotSupportedError(f"it was written by a newer otelhealth (format {version})")
        if version == 0 and not make:
            raise sqlite3.NotSupportedError("it is none of otelhealth's")
        if version == 0:
            self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {VERSION}; COMMIT;")
        run("PRAGMA synchronous = NORMAL")
        self._measure()

    def about(self, key: str) -> str:
        """What the file says of itself; "" where nothing."""
        row = self._connection.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def say(self, key: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (key, value))

    def add(self, letters: Iterable[Letter], without: Letter | None = None) -> None:
        """Keep all of them, or none; in the same moment forget another."""
        run = self._connection.execute
        kept = []
        run("BEGIN IMMEDIATE")
        try:
            if without is not None:
                run("DELETE FROM letters WHERE number = ?", (without.number,))
            for letter in letters:
                run(f"INSERT INTO letters ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _row(letter))  # noqa: S608 - a constant
                kept.append(letter)
            run("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                run("ROLLBACK")
            raise
        for letter in kept:
            self._use(letter, 1)
        if without is not None:
            self._use(without, -1)

    def first(self, signal: SignalName, after: int) -> Letter | None:
        """The oldest of a signal with a number above `after`."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM letters WHERE signal = ? AND number > ? ORDER BY number LIMIT 1",  # noqa: S608 - a constant
            (signal, after),
        ).fetchone()
        return _letter(row) if row else None

    def oldest_own(self, but: Iterable[int]) -> Letter | None:
        """The oldest that was not received, but for these numbers."""
        row = self._connection.execute(
            f"SELECT {_COLUMNS} FROM letters WHERE received = 0 AND number NOT IN ({','.join(map(str, but))}) "  # noqa: S608 - numbers
            "ORDER BY number LIMIT 1"
        ).fetchone()
        return _letter(row) if row else None

    def holds(self, number: int) -> bool:
        return bool(self._connection.execute("SELECT 1 FROM letters WHERE number = ?", (number,)).fetchone())

    def every(self) -> Iterator[Letter]:
        """All of them in their order."""
        for row in self._connection.execute(f"SELECT {_COLUMNS} FROM letters ORDER BY number"):  # noqa: S608 - a constant
            yield _letter(row)

    def forget(self, letter: Letter) -> bool:
        """Whether it was there."""
        deleted = self._connection.execute("DELETE FROM letters WHERE number = ?", (letter.number,)).rowcount > 0
        if deleted:
            self._use(letter, -1)
        return deleted

    def forget_until(self, signal: SignalName, number: int) -> None:
        """All of a signal up to that number."""
        self._connection.execute("DELETE FROM letters WHERE signal = ? AND number <= ?", (signal, number))
        self._measure()

    def size(self, *, received: bool | None = None) -> int:
        """Bytes that wait, all or those (not) received."""
        return sum(size.bytes for (_, came), size in self.used.items() if received in (None, came))

    def last(self) -> tuple[int, float]:
        """The highest number and the latest time; (0, 0.0) where nothing waits."""
        number, at = self._connection.execute("SELECT max(number), max(at) FROM letters").fetchone()
        return number or 0, at or 0.0

    def oldest(self, signal: SignalName) -> float | None:
        """The time of a signal's oldest."""
        row = self._connection.execute(
            "SELECT at FROM letters WHERE signal = ? ORDER BY number LIMIT 1", (signal,)
        ).fetchone()
        return float(row[0]) if row else None

    def give_back(self) -> None:
        """Make an empty file small again."""
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        if free >= _GIVE_BACK:
            # `execute` would make only the first step of it, a page
            self._connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")

    def close(self) -> None:
        self._connection.close()

    def _measure(self) -> None:
        rows = self._connection.execute(
            "SELECT signal, received, count(*), sum(length(body)) FROM letters GROUP BY signal, received"
        )
        self.used = {
            (signal, bool(received)): Size(count, size + _OVERHEAD * count) for signal, received, count, size in rows
        }

    def _use(self, letter: Letter, times: int) -> None:
        key = (letter.signal, letter.received)
        old = self.used.get(key, Size(0, 0))
        self.used[key] = Size(old.letters + times, old.bytes + times * size_of(letter))


def _row(letter: Letter) -> tuple[object, ...]:
    told = (letter.signal, letter.body, letter.content_type, letter.content_encoding)
    return (*told, letter.items, int(letter.received), letter.number, letter.at)


def _letter(row: tuple[SignalName, bytes, str, str, int, int, int, float]) -> Letter:
    signal, body, content_type, encoding, items, received, number, at = row
    return Letter(signal, body, content_type, encoding, items, bool(received), number, at)
