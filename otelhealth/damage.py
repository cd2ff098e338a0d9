"""What becomes of a SQLite file that is damaged: it is moved aside, whole, for who wants to look.

And which file a path leads to: one that is open may be deleted or replaced meanwhile.
"""

from __future__ import annotations

import errno
import sqlite3
import time
from pathlib import Path

PARTS = ("", "-wal", "-shm")  # of one database
_FOR_NOW = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS}
_FOR_NOW_SQLITE = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN}


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
