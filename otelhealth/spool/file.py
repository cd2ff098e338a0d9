"""The SQLite file in which requests wait; or the same in memory. Used by one thread at a time."""

from __future__ import annotations

import heapq
import sqlite3
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from otelhealth.spool.letter import Letter
from otelhealth.spool.settings import SIGNALS, SignalName
from otelhealth.sqlite import Connection, Opened, make, prepare
from otelhealth.units import MEMORY

VERSION = 1
# A number is the middle of a range whose half is its lowest bit: a request that has to be split leaves its place to
# two that stand in the middles of its halves, in order with all others.
STEP = 2**21
FIRST = STEP // 2
_LARGE = 2**20  # bytes of a file that are given back once nothing waits
_OVERHEAD = 100  # bytes of a row beside its body
_COLUMNS = "number, at, items, type, encoding, body"


# What shares a table: the oldest is its first row, so that no index has to be kept.
Kind = tuple[SignalName, bool]
_TABLES: dict[Kind, str] = {
    (signal, received): f"{signal}_{'received' if received else 'own'}"
    for signal in SIGNALS
    for received in (False, True)
}
_SCHEMA = "".join(
    f"CREATE TABLE {table} (number INTEGER PRIMARY KEY, at REAL NOT NULL, items INTEGER NOT NULL, type TEXT NOT NULL,"
    " encoding TEXT NOT NULL, body BLOB NOT NULL);"
    for table in _TABLES.values()
)
_SCHEMA += "CREATE TABLE about (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
# all text in them is constant
_INSERT = {kind: f"INSERT INTO {table} ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)" for kind, table in _TABLES.items()}  # noqa: S608 - see above
_DELETE = {kind: f"DELETE FROM {table} WHERE number = ?" for kind, table in _TABLES.items()}  # noqa: S608 - see above
_DELETE_UNTIL = {kind: f"DELETE FROM {table} WHERE number <= ?" for kind, table in _TABLES.items()}  # noqa: S608 - see above
_AFTER = {kind: f"SELECT {_COLUMNS} FROM {table} WHERE number > ? ORDER BY number" for kind, table in _TABLES.items()}  # noqa: S608 - see above
_MEASURE = {
    kind: f"SELECT count(*), sum(length(body)), max(number), max(at) FROM {table}"  # noqa: S608 - see above
    for kind, table in _TABLES.items()
}


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

    Unless it may be `new` it has to be one of ours already.
    """

    def __init__(self, path: Path | None, *, new: bool = True) -> None:
        self.path = path
        self.used = dict.fromkeys(_TABLES, Size(0, 0))
        self.last = 0, 0.0  # the highest number and the latest time of what was there, or came with others at once
        self._grown = False
        if path is not None and new:
            make(path)
        self._connection = Connection(path or MEMORY, check_same_thread=False, timeout=2, isolation_level=None)
        try:
            self._connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            prepare(self._connection, _SCHEMA, VERSION, log_size=2**22, new=new)
            self._measure()
        except BaseException:
            self._connection.close()
            raise
        self._opened = Opened(path) if path is not None else None

    def about(self, key: str) -> str:
        """What the file says of itself; "" where nothing."""
        row = self._connection.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
        return str(row[0]) if row else ""

    def say(self, key: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO about VALUES (?, ?)", (key, value))

    def add(self, letter: Letter) -> None:
        self._connection.execute(_INSERT[_kind(letter)], _row(letter))
        self._use(letter, 1)

    def exchange(
        self, letters: Iterable[Letter], without: Letter | None = None, said: tuple[str, str] | None = None
    ) -> None:
        """Keep all of them, forget another and say that of the file, or nothing of it all."""
        run = self._connection.execute
        kept = []
        run("BEGIN IMMEDIATE")
        try:
            if without is not None:
                run(_DELETE[_kind(without)], (without.number,))
            for letter in letters:
                run(_INSERT[_kind(letter)], _row(letter))
                kept.append(letter)
            if said is not None:
                self.say(*said)
            run("COMMIT")
        except sqlite3.Error:
            if self._connection.in_transaction:
                run("ROLLBACK")
            raise
        for letter in kept:
            self._use(letter, 1)
            self.last = max(self.last[0], letter.number), max(self.last[1], letter.at)
        if without is not None:
            self._use(without, -1)

    def first(self, signal: SignalName, after: int) -> Letter | None:
        """The oldest of a signal with a number above `after`."""
        return self._oldest(((signal, False), (signal, True)), after, ())

    def oldest_own(self, but: Collection[int]) -> Letter | None:
        """The oldest that was not received, but for these numbers."""
        return self._oldest(((signal, False) for signal in SIGNALS), 0, but)

    def every(self) -> Iterator[Letter]:
        """All of them in their order."""
        return heapq.merge(*map(self._after, _TABLES), key=lambda letter: letter.number)

    def holds(self, letter: Letter) -> bool:
        found = next(self._after(_kind(letter), letter.number - 1), None)
        return found is not None and found.number == letter.number

    def forget(self, letter: Letter) -> bool:
        """Whether it was there."""
        if not self.used[_kind(letter)].letters:
            return False
        deleted = self._connection.execute(_DELETE[_kind(letter)], (letter.number,)).rowcount > 0
        if deleted:
            self._use(letter, -1)
        return deleted

    def forget_until(self, signal: SignalName, number: int) -> None:
        """All of a signal up to that number."""
        for received in (False, True):
            self._connection.execute(_DELETE_UNTIL[signal, received], (number,))
        self._measure()

    def size(self, *, received: bool | None = None) -> int:
        """Bytes that wait, all or those (not) received."""
        return sum(size.bytes for (_, came), size in self.used.items() if received in (None, came))

    def give_back(self) -> None:
        """Make a file that has grown small again; nothing waits in it."""
        if self._grown:
            # `execute` would make only the first step of it, a page
            self._connection.executescript("PRAGMA incremental_vacuum; PRAGMA wal_checkpoint(TRUNCATE);")
            self._grown = False

    def is_there(self) -> bool:
        """Whether its path still leads to it."""
        return self._opened is None or self._opened.is_there()

    def close(self) -> None:
        self._connection.close()
        if self._opened is not None and not self._opened.is_there():
            self._opened.remove_log()

    def _oldest(self, kinds: Iterable[Kind], after: int, but: Collection[int]) -> Letter | None:
        found = None
        for kind in kinds:
            if self.used[kind].letters:
                letter = next((one for one in self._after(kind, after) if one.number not in but), None)
                if letter is not None and (found is None or letter.number < found.number):
                    found = letter
        return found

    def _after(self, kind: Kind, last: int = 0) -> Iterator[Letter]:
        signal, received = kind
        for number, at, items, content_type, encoding, body in self._connection.execute(_AFTER[kind], (last,)):
            yield Letter(signal, body, content_type, encoding, items, received, number, at)

    def _measure(self) -> None:
        highest, latest = 0, 0.0
        for kind in _TABLES:
            count, size, number, at = self._connection.execute(_MEASURE[kind]).fetchone()
            self.used[kind] = Size(count, (size or 0) + _OVERHEAD * count)
            highest, latest = max(highest, number or 0), max(latest, at or 0.0)
        self.last = highest, latest
        self._grown = self.size() > _LARGE

    def _use(self, letter: Letter, times: int) -> None:
        kind = _kind(letter)
        old = self.used[kind]
        new = self.used[kind] = Size(old.letters + times, old.bytes + times * size_of(letter))
        self._grown = self._grown or new.bytes > _LARGE


def _kind(letter: Letter) -> Kind:
    return letter.signal, letter.received


def _row(letter: Letter) -> tuple[object, ...]:
    return letter.number, letter.at, letter.items, letter.content_type, letter.content_encoding, letter.body
