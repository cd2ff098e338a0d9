"""A directory: how many files, how large, how old, and whether this process may write there."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from otelhealth.checks.base import Check, Context, Quantity, passed
from otelhealth.errors import ProbeError
from otelhealth.model import CheckResult, Measurement, Status
from otelhealth.units import LocalPath, duration_text, size_text

_ERRORS = {FileNotFoundError: "not_found", NotADirectoryError: "not_a_directory", PermissionError: "permission_denied"}


@dataclass(slots=True)
class Listing:
    """What was seen of a directory, before `max_files` or the deadline ended it."""

    files: int = 0
    size: int = 0
    newest: float = float("-inf")
    oldest: float = float("inf")
    complete: bool = True
    unreadable: list[str] = field(default_factory=list)

    def add(self, found: os.stat_result) -> None:
        self.files += 1
        self.size += found.st_size
        self.newest = max(self.newest, found.st_mtime)
        self.oldest = min(self.oldest, found.st_mtime)


class DirectoryCheck(Check):
    """Lists in a thread; symbolic links are counted, not followed."""

    summary: ClassVar[str] = "a directory's files: number, bytes, age; its free space, mode, and that it can be written"
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("files", "{file}", "updowncounter", "Files found, at most `max_files`.", "otelhealth.directory.files"),
        Quantity("size", "By", "updowncounter", "Bytes of the files found.", "otelhealth.directory.size"),
        Quantity(
            "age.newest",
            "s",
            "gauge",
            "Since the newest file was changed; none if empty.",
            "otelhealth.directory.age.newest",
        ),
        Quantity(
            "age.oldest",
            "s",
            "gauge",
            "Since the oldest file was changed; none if empty.",
            "otelhealth.directory.age.oldest",
        ),
        Quantity("free", "By", "updowncounter", "Space left on its file system.", "otelhealth.directory.free"),
    )

    kind: Literal["directory"] = "directory"
    path: LocalPath = Field(description="The directory, which must exist.")
    recursive: bool = Field(False, description="Count the files in all directories below it too.")
    pattern: str = Field("*", description="Count only files with such a name, as `*.log`.")
    max_files: int = Field(10_000, ge=1, le=1_000_000, description="Stop counting here, and say so.")
    writable: bool = Field(False, description="Fail unless a file can be written there (a nameless one, at once gone).")
    mode: str | None = Field(
        None,
        pattern=r"^0?[0-7]{3,4}$",
        examples=["0750"],
        description="Fail unless these are its permissions, as `0750`.",
    )

    async def probe(self, ctx: Context) -> CheckResult:
        now = ctx.clock.time()
        try:
            listing, free = await ctx.in_thread(lambda: self._look(lambda: ctx.remaining() <= 0))
        except OSError as error:
            raise _told(f"{self.path}:", error) from error
        measurements = [Measurement("files", listing.files, "{file}"), Measurement("size", listing.size, "By")]
        if listing.files:
            measurements.append(Measurement("age.newest", max(0.0, now - listing.newest), "s"))
            measurements.append(Measurement("age.oldest", max(0.0, now - listing.oldest), "s"))
        measurements.append(Measurement("free", free, "By"))
        for place in listing.unreadable[:10]:
            ctx.log(f"{place} cannot be listed and was left out")
        details = {"complete": listing.complete}
        wanted = self.levels.get("age.newest")
        if not listing.files and wanted and wanted.of_infinity is not Status.PASS:
            sentence = f"{self._sentence(listing, now)}, so that none is new enough"
            return CheckResult(wanted.of_infinity, sentence, "no_file", tuple(measurements), details)
        return passed(self._sentence(listing, now), *measurements, details=details)

    def _look(self, late: Callable[[], bool]) -> tuple[Listing, int]:
        """In a thread; raises OSError, and ProbeError where the directory is not as it should be."""
        place = Path(self.path)
        listing = Listing()
        for found in self._files(place, listing):
            if listing.files >= self.max_files or late():
                listing.complete = False
                break
            listing.add(found)
        self._check_mode(place)
        if self.writable:
            try:
                with tempfile.TemporaryFile(dir=place, buffering=0) as trial:
                    trial.write(b".")
            except OSError as error:
                raise _told(f"{self.path} cannot be written:", error) from error
        space = os.statvfs(place)
        return listing, space.f_bavail * space.f_frsize

    def _files(self, place: Path, listing: Listing) -> Iterator[os.stat_result]:
        """Without recursion: a deep tree must not end us."""
        waiting = [str(place)]
        while waiting:
            try:
                entries = os.scandir(waiting[-1])
            except OSError:
                if len(waiting) == 1 and waiting[0] == str(place):
                    raise
                listing.unreadable.append(waiting.pop())
                continue
            waiting.pop()
            with entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        if self.recursive:
                            waiting.append(entry.path)
                    elif fnmatchcase(entry.name, self.pattern) and (found := _stat(entry)):
                        yield found

    def _check_mode(self, place: Path) -> None:
        seen = stat.S_IMODE(place.stat().st_mode)
        if self.mode is not None and seen != int(self.mode, 8):
            raise ProbeError("wrong_mode", f"{self.path} has the permissions {seen:04o}, not {int(self.mode, 8):04o}")

    def _sentence(self, listing: Listing, now: float) -> str:
        if not listing.files:
            return f"{self.path} holds no file" + (f" called {self.pattern}" if self.pattern != "*" else "")
        at_least = "" if listing.complete else "at least "
        age = duration_text(max(0.0, now - listing.newest))
        plural = "file" if listing.files == 1 else "files"
        return f"{self.path} holds {at_least}{listing.files} {plural} ({size_text(listing.size)}), the newest {age} old"


def _told(what: str, error: OSError) -> ProbeError:
    said = error.strerror or type(error).__name__
    return ProbeError(_ERRORS.get(type(error), said.lower().replace(" ", "_")), f"{what} {said}")


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat(follow_symlinks=False)
    except FileNotFoundError:  # deleted since it was listed
        return None
