"""The SQLite files that we keep: how they are made, and what becomes of one that is damaged, deleted or replaced."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

PARTS = ("", "-wal", "-shm")  # of one database
_FOR_NOW = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
_FOR_NOW_SQLITE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}
_PATIENCE = 1.0  # s that a fork waits for a disk that is slow, and SQLite for a fork


class _Gate:
    """Keeps SQLite and forks apart: where another thread works in SQLite, the child has its global locks taken for ever
    (sqlite.org/howtocorrupt.html: a connection, too, is for the process alone that opened it)."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._changed = threading.Condition()
        self._working = self._forking = 0

    def __enter__(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._forking, _PATIENCE)
            self._working += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._working -= 1
            self._changed.notify_all()

    def before_fork(self) -> None:
        with self._changed:
            self._forking += 1
            self._changed.wait_for(lambda: not self._working, _PATIENCE)

    def after_fork(self) -> None:
        with self._changed:
            self._forking -= 1
            self._changed.notify_all()


_GATE = _Gate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_GATE.before_fork, after_in_parent=_GATE.after_fork, after_in_child=_GATE.reset)


class _Cursor(sqlite3.Cursor):
    def __next__(self) -> Any:
        with _GATE:
            return super().__next__()

    def fetchone(self) -> Any:
        with _GATE:
            return super().fetchone()

    def fetchall(self) -> list[Any]:
        with _GATE:
            return super().fetchall()

    def __del__(self) -> None:
        with _GATE, suppress(sqlite3.Error):  # of a connection that is closed
            self.close()


class Connection(sqlite3.Connection):
    """To a file of ours, or in memory; no process forks while it is in use."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        with _GATE:
            super().__init__(*arguments, **named)

    def cursor(self, *_: Any) -> _Cursor:  # type: ignore[override]  # one factory is the only one
        return super().cursor(_Cursor)

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        with _GATE:
            return self.cursor().execute(*arguments)

    def executemany(self, *arguments: Any) -> sqlite3.Cursor:
        with _GATE:
            return self.cursor().executemany(*arguments)

    def executescript(self, *arguments: Any) -> sqlite3.Cursor:
        with _GATE:
            return self.cursor().executescript(*arguments)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        with _GATE:
            return super().__exit__(kind, error, trace)

    def close(self) -> None:
        with _GATE:
            super().close()


def make(path: Path) -> None:
    """An empty file for its owner alone, where there is none. Raises OSError."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def prepare(connection: sqlite3.Connection, schema: str, version: int, *, log_size: int, new: bool = True) -> None:
    """Make the tables of this version where there are none; `log_size` bytes are kept of what the -wal grew to.

    Raises sqlite3.Error, also for the tables of a newer otelhealth and, unless it may be `new`, for none of ours.
    """
    # nobody waits for the disk while a new file is made: one that breaks meanwhile is set aside as damaged
    for pragma in ("synchronous = OFF", "journal_mode = WAL", f"journal_size_limit = {log_size}"):
        connection.execute(f"PRAGMA {pragma}")
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if found > version:
        raise sqlite3.NotSupportedError(f"it was written by a newer otelhealth (format {found})")
    if found == 0 and not new:
        raise sqlite3.NotSupportedError("it is none of otelhealth's")
    if found == 0:
        connection.executescript(f"BEGIN; {schema} PRAGMA user_version = {version}; COMMIT;")
    connection.execute("PRAGMA synchronous = NORMAL")


def remove(path: Path) -> None:
    """With its -wal and -shm. Raises OSError."""
    for part in PARTS:
        Path(f"{path}{part}").unlink(missing_ok=True)


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether the file itself is damaged, or no database."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def refuses_for_now(error: OSError | sqlite3.Error) -> bool:
    """Whether a disk that is full, broken or read-only says so, which may be mended while we run."""
    if isinstance(error, OSError):
        return error.errno in _FOR_NOW
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _FOR_NOW_SQLITE


def move_aside(path: Path, now: float) -> str:
    """Where it is now; `now` in Unix seconds. Raises OSError where it cannot be moved."""
    aside = f"{path}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}"
    for suffix in PARTS:
        file = Path(f"{path}{suffix}")
        if file.exists():
            file.rename(f"{aside}{suffix}")
    return aside


def identity(path: Path) -> tuple[int, int] | None:
    """Which file that is, by device and inode; None where there is none."""
    try:
        seen = path.stat()
    except OSError:
        return None
    return seen.st_dev, seen.st_ino


class Opened:
    """Which file a path led to when it was opened: it may be deleted or replaced meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file, self._log = self._found()

    def is_there(self) -> bool:
        """Whether the path still leads to it."""
        return identity(self._path) == self._file

    def remove_log(self) -> None:
        """Of one that is there no more and was closed: its -wal would be taken for another file's."""
        if self._found()[1] == self._log:
            for part in PARTS[1:]:
                with suppress(OSError):
                    Path(f"{self._path}{part}").unlink()

    def _found(self) -> list[tuple[int, int] | None]:
        return [identity(Path(f"{self._path}{part}")) for part in PARTS[:2]]
