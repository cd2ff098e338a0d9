"""One process per store."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

from otelhealth.errors import OtelHealthError


class Lock:
    """One process per file, by a lock on `<file>.lock` that ends with the process."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._file: IO[str] | None = None

    def take(self) -> None:
        file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600), "r+")
        try:
            _lock(file)
        except OSError as error:
            owner = file.read(20).strip() or "unknown"
            file.close()
            raise OtelHealthError(
                f"the store {self._path.with_suffix('')} is used by another otelhealth process (pid {owner})",
                "stop that one, or give this one its own `store.path` or `service.name`",
            ) from error
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        self._file = file

    def release(self) -> None:
        if self._file:
            self._file.close()


def _lock(file: IO[str]) -> None:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - of one platform only

        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415 - of the other platforms

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
