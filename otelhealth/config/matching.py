"""Finds the files that a pattern of `include` means, and gives up where it would search a whole disk."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatchcase
from glob import has_magic
from pathlib import Path, PurePath

MAX_ENTRIES = 10_000  # files and folders that one pattern looks at


class TooManyError(Exception):
    """A pattern looks at more than MAX_ENTRIES files and folders."""


def matching(base: Path, pattern: str) -> tuple[str, ...]:
    """The paths that `pattern` finds from `base`, sorted; `**` stands for any folders below, links to folders left out.

    As with a shell, hidden ones want a pattern that begins with a dot. Raises TooManyError.
    """
    try:
        return tuple(sorted(set(_Search().below(str(base), PurePath(pattern).parts))))
    except RecursionError as error:
        raise TooManyError from error


class _Search:
    def __init__(self) -> None:
        self._seen = 0

    def below(self, folder: str, parts: Sequence[str]) -> Iterator[str]:
        part, rest = parts[0], parts[1:]
        if part == "**":
            yield from self._on(folder, rest)
            for entry in self._entries(folder, "*"):
                if entry.is_dir(follow_symlinks=False):
                    yield from self.below(entry.path, parts)
                elif not rest:
                    yield entry.path
        elif has_magic(part):
            for entry in self._entries(folder, part):
                yield from self._on(entry.path, rest)
        else:
            yield from self._on(str(Path(folder, part)), rest)

    def _on(self, path: str, rest: Sequence[str]) -> Iterator[str]:
        if rest:
            yield from self.below(path, rest)
        elif os.path.exists(path):  # noqa: PTH110 - Path.exists raises where a folder may not be read
            yield path

    def _entries(self, folder: str, pattern: str) -> list[os.DirEntry[str]]:
        """Those of `folder` that fit; none where it cannot be read."""
        found = []
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                self._seen += 1
                if self._seen > MAX_ENTRIES:
                    raise TooManyError
                if fnmatchcase(entry.name, pattern) and entry.name.startswith(".") <= pattern.startswith("."):
                    found.append(entry)
        return found
