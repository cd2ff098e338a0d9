"""One process per file, by a lock on `<file>.lock` that ends with the process."""

from __future__ import annotations

import os
import sys
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Lock:
    """The lock of the file at `path`. A forked child has none of its parent's: it could outlive it."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._file: int | None = None
        self.owner = ""  # pid of the process that has it, where `take` was refused

    def take(self) -> bool:
        """Whether it could be had. Raises OSError where there can be no such file."""
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                _lock(file)
            except OSError:
                self.owner = os.read(file, 20).decode(errors="replace").strip() or "unknown"
                os.close(file)
                return False
            if self._is_there(file):
                break
            os.close(file)  # its last owner has just removed it
        self._file = file
        _held.add(self)
        with suppress(OSError):  # a full disk: it is only told to who is refused
            os.truncate(file, 0)
            os.write(file, f"{os.getpid()}\n".encode())
        return True

    @property
    def held(self) -> bool:
        """Whether this process has it."""
        return self._file is not None

    def release(self, *, remove: bool = False) -> None:
        """Let go of it; in a forked child this leaves the parent's as it is."""
        if self._file is None:
            return
        if remove:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._file = None
        _held.discard(self)

    def _is_there(self, file: int) -> bool:
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False


class Claim(NamedTuple):
    """The path at `number` of those that were tried, and its lock."""

    number: int
    path: Path
    lock: Lock


def claim(paths: Iterable[Path]) -> Claim | None:
    """The first that no other process has; None where each has another. Raises OSError as `take` does."""
    for number, path in enumerate(paths):
        lock = Lock(path)
        if lock.take():
            return Claim(number, path, lock)
    return None


_held: weakref.WeakSet[Lock] = weakref.WeakSet()


def _forked() -> None:
    for lock in list(_held):
        lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _lock(file: int) -> None:
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - of one platform only

        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415 - of the other platforms

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
