"""Reads the files that a configuration is made of, and nothing that might never end."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_REMEDIES = {
    errno.EACCES: "let the agent's user read it",
    errno.EISDIR: "name a file in it",
    errno.EINVAL: "name a regular file",
}


def remedy(error: Exception) -> str:
    """What to do about a file that could not be read."""
    number = error.errno if isinstance(error, OSError) else None
    return _REMEDIES.get(number or 0, "create the file, or name another")


def read_file(path: Path, most: int) -> bytes:
    """At most `most` bytes and one more, which tells that there are more. Raises OSError; also for what is no file.

    Opening a FIFO would wait for a writer, and a device may never end.
    """
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "it is a pipe or a device, no regular file", str(path))
        with os.fdopen(handle, "rb", closefd=False) as stream:
            return stream.read(most + 1)
    finally:
        os.close(handle)
