"""The file in which workers tell each other what they know, for the moment only. Used by one thread at a time."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any

from otelhealth.clock import Clock
from otelhealth.sqlite import Connection, identity, make, remove
from otelhealth.store.rows import encoded
from otelhealth.telemetry.windows import SLOT, SLOTS, SPAN, SPANS, Count, Part
from otelhealth.workers.news import Draft, News

VERSION = 2
FORGOTTEN = 60.0  # s after which an ask that nobody heard the reply to is gone
_SCHEMA = """
CREATE TABLE states (name TEXT PRIMARY KEY, revision INTEGER NOT NULL, snapshot TEXT) WITHOUT ROWID;
CREATE INDEX states_by_revision ON states (revision);
CREATE TABLE parts (id INTEGER PRIMARY KEY AUTOINCREMENT, life TEXT NOT NULL, source TEXT NOT NULL,
    slot INTEGER NOT NULL, failed INTEGER NOT NULL, seconds REAL NOT NULL, buckets TEXT NOT NULL);
CREATE INDEX parts_by_slot ON parts (slot);
CREATE TABLE counts (source TEXT NOT NULL, span INTEGER NOT NULL, requests INTEGER NOT NULL, failed INTEGER NOT NULL,
    PRIMARY KEY (source, span)) WITHOUT ROWID;
CREATE TABLE metrics (worker INTEGER PRIMARY KEY, at REAL NOT NULL, resource TEXT NOT NULL, families TEXT NOT NULL);
CREATE TABLE asks (id TEXT PRIMARY KEY, life TEXT NOT NULL, until REAL NOT NULL, question TEXT NOT NULL,
    reply TEXT) WITHOUT ROWID;
"""
_ADD_COUNT = """
INSERT INTO counts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET requests = requests + excluded.requests,
    failed = failed + excluded.failed
"""


class Shared:
    """Of the workers at `path`; `worker` is this one's number, `life` tells it from those that had it before.

    All but `usable` raises sqlite3.Error or OSError where the disk refuses or the file is damaged.
    """

    def __init__(self, path: Path, worker: int, life: str, clock: Clock) -> None:
        self.path = path
        self._worker = worker
        self._life = life
        self._clock = clock
        self._connection: Connection | None = None
        self._identity: tuple[int, int] | None = None
        self._version = -1  # of the data, when it was last read
        self._revision = self._part = 0  # the last that were read
        self._totals: tuple[float, ...] | None = None  # of the counts that were read

    @property
    def usable(self) -> bool:
        """Whether it is open, and still the file that the others have."""
        return self._connection is not None and self._identity == identity(self.path)

    def open(self) -> News:
        """Open or make it; all that it holds."""
        self.close()
        make(self.path)
        self._connection = Connection(self.path, check_same_thread=False, timeout=2, isolation_level=None)
        self._identity = identity(self.path)
        try:
            self._prepare()
            self._version, self._revision, self._part, self._totals = -1, 0, 0, None
            return self._read()
        except sqlite3.Error:
            self.close()
            raise

    def read(self, *, asks: bool = False) -> News:
        """What the others told since the last time; with `asks` those that wait, though they were read before."""
        (version,) = self._run("PRAGMA data_version").fetchone()
        if version == self._version and not asks:
            return News()
        self._version = version
        return self._read()

    def write(self, draft: Draft) -> None:
        """All of it, or nothing."""
        with self._transaction("IMMEDIATE"):
            if draft.states:
                self._write_states(draft.states)
            if draft.parts or draft.counts:
                self._write_parts(draft)
            if draft.metrics is not None:
                told = (self._worker, self._clock.time(), *draft.metrics)
                self._run("INSERT OR REPLACE INTO metrics VALUES (?, ?, ?, ?)", *told)
            if draft.left:
                self._run("DELETE FROM metrics WHERE worker = ?", self._worker)
            for name, (until, question) in draft.asks.items():
                self._run("INSERT INTO asks VALUES (?, ?, ?, ?, NULL)", name, self._life, until, question)
            for name, reply in draft.replies.items():
                self._run("UPDATE asks SET reply = ? WHERE id = ?", reply, name)
            for name in draft.heard:
                self._run("DELETE FROM asks WHERE id = ?", name)
            if draft.asks:
                self._run("DELETE FROM asks WHERE until < ?", self._clock.time() - FORGOTTEN)

    def metrics(self, since: float) -> list[tuple[str, str]]:
        """Resource and families of each other worker that told them since then (Unix seconds)."""
        rows = "SELECT resource, families FROM metrics WHERE worker != ? AND at > ? ORDER BY worker"
        return self._run(rows, self._worker, since).fetchall()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def remove(self) -> None:
        """A damaged one, unless another worker has put one in its place: what it held is for the moment only."""
        self.close()
        if self._identity == identity(self.path):
            remove(self.path)

    def _prepare(self) -> None:
        # what a crash of the machine leaves is for the moment only: nobody waits for the disk
        for pragma in ("journal_mode = WAL", "synchronous = OFF", "journal_size_limit = 4194304"):
            self._run(f"PRAGMA {pragma}")
        with self._transaction("IMMEDIATE"):
            (version,) = self._run("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    self._run(statement)
                self._run(f"PRAGMA user_version = {VERSION}")
        if version not in (0, VERSION):
            raise sqlite3.NotSupportedError(f"it is of another otelhealth (format {version})")

    def _read(self) -> News:
        with self._transaction("DEFERRED"):
            counts = self._counts()
            asks = self._run("SELECT id, question FROM asks WHERE reply IS NULL AND until > ?", self._clock.time())
            replies = self._run("SELECT id, reply FROM asks WHERE life = ? AND reply IS NOT NULL", self._life)
            return News(dict(self._states()), list(self._parts()), counts, dict(asks), dict(replies))

    def _counts(self) -> list[Count] | None:
        totals = self._run("SELECT count(*), total(requests), total(failed) FROM counts").fetchone()
        if totals == self._totals:
            return None
        self._totals = totals
        return [Count(*row) for row in self._run("SELECT source, span, requests, failed FROM counts")]

    def _states(self) -> Iterator[tuple[str, dict[str, Any] | None]]:
        rows = "SELECT name, revision, snapshot FROM states WHERE revision > ? ORDER BY revision"
        for name, revision, snapshot in self._run(rows, self._revision):
            self._revision = revision
            yield name, None if snapshot is None else json.loads(snapshot)

    def _parts(self) -> Iterator[Part]:
        columns = "id, life, source, slot, failed, seconds, buckets"
        rows = f"SELECT {columns} FROM parts WHERE id > ? AND slot > ? ORDER BY id"  # noqa: S608 - a constant
        for number, life, source, slot, failed, seconds, buckets in self._run(rows, self._part, self._oldest_slot()):
            self._part = number
            if life != self._life:
                yield Part(source, slot, failed, seconds, dict(json.loads(buckets)))

    def _write_states(self, states: Mapping[str, Mapping[str, Any] | None]) -> None:
        (last,) = self._run("SELECT max(revision) FROM states").fetchone()
        self._revision = (last or 0) + 1
        gone = ((name, None) for name, snapshot in states.items() if snapshot is None)
        kept = encoded({name: snapshot for name, snapshot in states.items() if snapshot is not None})
        for name, text in chain(gone, kept):
            self._run("INSERT OR REPLACE INTO states VALUES (?, ?, ?)", name, self._revision, text)

    def _write_parts(self, draft: Draft) -> None:
        for source, slot, failed, seconds, buckets in draft.parts:
            told = (self._life, source, slot, failed, seconds, json.dumps(list(buckets.items())))
            self._run("INSERT INTO parts VALUES (NULL, ?, ?, ?, ?, ?, ?)", *told)
        for count in draft.counts:
            self._run(_ADD_COUNT, *count)
        self._run("DELETE FROM parts WHERE slot <= ?", self._oldest_slot())
        self._run("DELETE FROM counts WHERE span <= ?", self._oldest_span())

    def _oldest_slot(self) -> int:
        return int(self._clock.time() // SLOT) - SLOTS

    def _oldest_span(self) -> int:
        return int(self._clock.time() // SPAN) - SPANS

    def _run(self, statement: str, *values: object) -> sqlite3.Cursor:
        assert self._connection is not None  # noqa: S101 - opened by every caller
        return self._connection.execute(statement, values)

    @contextmanager
    def _transaction(self, kind: str) -> Iterator[None]:
        self._run(f"BEGIN {kind}")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            if self._connection is not None and self._connection.in_transaction:
                self._run("ROLLBACK")
            raise
