"""A disk without room, as a process sees it that may write no file beyond a size; and one that is read-only."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def full(room: int = 0) -> Iterator[None]:
    """No file of this process grows beyond `room` bytes; keep it short, for that holds for pytest's own, too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def read_only(folder: Path) -> tuple[str, ...]:
    """What is put before a command for which `folder` is on a read-only disk; skips where nothing may be mounted."""
    mount = 'mount -t tmpfs -o ro none "$0" && exec "$@"'
    before = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mount, str(folder))
    if sys.platform != "linux" or subprocess.run([*before, "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounting a disk wants Linux and its user namespaces")
    return before
