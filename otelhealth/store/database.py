"""The store's SQLite file: its lock, writing and pruning. Used by one thread at a time."""

from __future__ import annotations

import logging
import sqlite3
from pathlib import Path
from typing import Any

from otelhealth.clock import Clock
from otelhealth.errors import OtelHealthError
from otelhealth.lock import Lock
from otelhealth.records import History, RenewalRecord
from otelhealth.sqlite import Connection, Opened, is_corrupt, make, move_aside, refuses_for_now
from otelhealth.store import tables
from otelhealth.store.backlog import Batch
from otelhealth.store.hours import Hours
from otelhealth.store.rows import change_row, decoded, encoded, run_row

PRUNE = 50  # rows at least that a write may prune, besides twice what it wrote
_PRUNE = {  # oldest rows first, a few at a time; the last parameter is how many
    "runs": "DELETE FROM runs WHERE id IN (SELECT id FROM runs ORDER BY id LIMIT ?2) AND started < ?1",
    "changes": "DELETE FROM changes WHERE id IN (SELECT id FROM changes ORDER BY id LIMIT ?2) AND at < ?1",
}
_REMEDY = "make its folder writable, or set `store.path` (`:memory:` keeps nothing)"
log = logging.getLogger("otelhealth.store")


class Database:
    """The file at `path`; `runs` and `history` are ages in seconds, `max_size` bytes."""

    def __init__(self, path: Path | str, runs: float, history: float, max_size: int, clock: Clock) -> None:
        self._path = path
        self._ages = {"runs": runs, "changes": history}
        self._max_size = max_size
        self._clock = clock
        self._lock = Lock(path) if isinstance(path, Path) else None
        self.renewed: RenewalRecord | None = None  # the last time
        self._opened: Opened | None = None
        self._ids: dict[str, int] = {}
        self._new: list[str] = []  # names whose ids the present transaction made
        self._hours = Hours(history, clock)
        self._usable = False  # whether it is open

    def open(self) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        """See `Store.open`. Raises sqlite3.OperationalError where the disk refuses it for now."""
        try:
            if isinstance(self._path, Path):
                self._make(self._path)
            try:
                return self._connect()
            except sqlite3.Error as error:
                if not is_corrupt(error):
                    raise
                self.set_aside(error)
                return {}, {}
        except (OSError, sqlite3.Error) as error:
            self._release()
            if refuses_for_now(error):
                raise sqlite3.OperationalError(str(error)) from error
            sentence = f"the store {self._path} cannot be made or used: {getattr(error, 'strerror', None) or error}"
            raise OtelHealthError(sentence, _REMEDY) from error

    def write(self, batch: Batch) -> None:
        """One transaction, a little pruning in it. Raises sqlite3.Error, and then nothing of it is written."""
        if not self._usable:
            self._open_late()
        elif isinstance(self._path, Path) and self._opened and not self._opened.is_there():
            self._go_on_without(self._path, self._opened)
        if self._hours.due:
            self._hours.write(self._connection)
        now = self._clock.time()
        states = [(name, now, text) for name, text in encoded(batch.states)]
        try:
            with self._connection as into:
                runs = [run_row(self._id(run.name), run) for run in batch.runs]
                into.executemany("INSERT INTO runs VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", runs)
                changes = [change_row(self._id(change.name), change) for change in batch.changes]
                into.executemany("INSERT INTO changes VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", changes)
                into.executemany("INSERT OR REPLACE INTO states VALUES (?, ?, ?)", states)
                into.executemany("INSERT OR REPLACE INTO counters VALUES (?, ?)", encoded(batch.counters))
                self._prune(now, PRUNE + 2 * len(runs))
        except sqlite3.Error:
            self._forget_new()
            raise
        self._new.clear()
        for run in batch.runs:
            self._hours.count(self._ids[run.name], run)

    def history(self, name: str, since: float, limit: int) -> History:
        """See `Store.history`."""
        if not self._usable:
            raise sqlite3.OperationalError("its disk refuses it")
        return tables.history(self._connection, name, since, limit)

    def set_aside(self, error: sqlite3.Error) -> None:
        """Move the damaged file away and start a new one. Raises sqlite3.Error or OSError where that fails."""
        self._usable = False
        self._connection.close()
        aside = move_aside(Path(self._path), self._clock.time())
        if isinstance(self._path, Path):
            make(self._path)
        self._begin_again(f"is damaged ({error}); it is now {aside}, a new one starts")

    def _open_late(self) -> None:
        """What it kept of earlier is older than what is known by now. Raises sqlite3.OperationalError."""
        try:
            self.open()
        except OtelHealthError as error:
            raise sqlite3.OperationalError(str(error)) from error

    def _go_on_without(self, path: Path, gone: Opened) -> None:
        """Somebody deleted or replaced the file that is open. Raises sqlite3.Error where there can be no other."""
        self._connection.close()
        gone.remove_log()
        there = path.exists()
        self._release()
        try:
            self._make(path)
        except (OSError, OtelHealthError) as error:
            self._release()
            raise sqlite3.OperationalError(str(error)) from error
        how, next_one = ("replaced", "the other one goes on") if there else ("deleted", "a new one starts")
        self._begin_again(f"was {how} while it was used; {next_one}")

    def _begin_again(self, why: str) -> None:
        """With the file that is there now."""
        self._ids.clear()
        self._hours.forget()
        self._connect()
        reason = f"the store {self._path} {why}"
        log.error("%s", reason)
        self.renewed = RenewalRecord(at=int(self._clock.time()), reason=reason)

    def close(self) -> None:
        """Write the last hours and let go of the file; what fails now is only said."""
        try:
            if self._usable:
                self._hours.write(self._connection)
                self._connection.close()
        except sqlite3.Error as error:
            log.error("the store %s was not closed well: %s", self._path, error)  # noqa: TRY400 - the sentence is enough
        self._release()

    def _make(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        assert self._lock is not None  # noqa: S101 - a file has one
        if not self._lock.take():
            raise OtelHealthError(
                f"the store {path} is used by another otelhealth process (pid {self._lock.owner})",
                "stop that one, or give this one its own `store.path` or `service.name`",
            )
        make(path)

    def _connect(self) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        self._connection = Connection(self._path, check_same_thread=False, timeout=10)
        try:
            tables.prepare(self._connection)
            self._ids.update((name, number) for number, name in self._connection.execute("SELECT id, name FROM checks"))
            states = decoded(self._connection.execute("SELECT name, snapshot FROM states"))
            counters = decoded(self._connection.execute("SELECT key, value FROM counters"))
        except BaseException:
            self._connection.close()
            raise
        self._opened = Opened(Path(self._path))
        self._usable = True
        return states, counters

    def _prune(self, now: float, rows: int) -> None:
        for table, age in self._ages.items():
            self._connection.execute(_PRUNE[table], (now - age, rows))
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        (free,) = self._connection.execute("PRAGMA freelist_count").fetchone()
        (size,) = self._connection.execute("PRAGMA page_size").fetchone()
        if (pages - free) * size > self._max_size:
            self._connection.execute(_PRUNE["runs"], (now, rows))

    def _id(self, name: str) -> int:
        number = self._ids.get(name)
        if number is None:
            cursor = self._connection.execute("INSERT INTO checks (name) VALUES (?)", (name,))
            number = self._ids[name] = int(cursor.lastrowid or 0)
            self._new.append(name)
        return number

    def _forget_new(self) -> None:
        for name in self._new:
            del self._ids[name]
        self._new.clear()

    def _release(self) -> None:
        if self._lock:
            self._lock.release()
