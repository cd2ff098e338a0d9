"""The SQLite files that we keep: how they are made, and what becomes of one that is damaged, deleted or replaced."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path

PARTS = ("", "-wal", "-shm")  # of one database
_FOR_NOW = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
_FOR_NOW_SQLITE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


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
