"""The files a configuration is made of, as they were when they were read: what a reload watches."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from otelhealth.config.matching import TooManyError, matching

Stamp = tuple[int, ...]  # device, inode, size, time of the file behind the path; empty where there is none


@dataclass
class Sources:
    """Main file, includes and `${file:}`, those that are missing too, and what the globs of `include` found.

    A glob that looks through too much finds None.
    """

    files: dict[Path, Stamp] = field(default_factory=dict)
    globs: dict[tuple[Path, str], tuple[str, ...] | None] = field(default_factory=dict)

    def opens(self, path: Path) -> None:
        """To be told before `path` is read: a change while it is read then shows at the next look."""
        self.files[path] = _stamp(path)

    def is_empty(self, path: Path) -> bool:
        """Whether nothing stood in `path` when it was read."""
        return self.files.get(path, ())[2:3] == (0,)

    def glob(self, base: Path, pattern: str) -> tuple[str, ...] | None:
        """The paths that `pattern` finds from `base`, sorted; remembered."""
        found = self.globs[base, pattern] = _matches(base, pattern)
        return found

    def again(self) -> Sources:
        """The same sources as they are now; differs from `self` when one of them changed."""
        return Sources({path: _stamp(path) for path in self.files}, {key: _matches(*key) for key in self.globs})


def _stamp(path: Path) -> Stamp:
    try:
        seen = path.stat()
    except (OSError, ValueError):
        return ()
    return (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns)


def _matches(base: Path, pattern: str) -> tuple[str, ...] | None:
    try:
        return matching(base, pattern)
    except TooManyError:
        return None
