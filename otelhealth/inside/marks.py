"""What the processes of one `otelhealth exec` leave for its agent in their directory."""

from __future__ import annotations

from pathlib import Path

NO_PYTHON_AFTER = 5.0  # s within which a Python program has begun
INSTRUMENTED, UNINSTRUMENTED = "instrumented", "uninstrumented"


def leave(folder: Path, mark: str) -> None:
    """Does nothing where the directory cannot be written."""
    try:
        (folder / mark).touch(mode=0o600)
    except OSError:
        return


def any_python(folder: Path) -> bool:
    """Whether a Python program has begun."""
    return any((folder / mark).exists() for mark in (INSTRUMENTED, UNINSTRUMENTED))
