"""SQLite: that a database file answers a query, how large it is, and, on request, that it is whole."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import quote

from pydantic import Field

from otelhealth.checks.base import Check, Context, Quantity, passed
from otelhealth.checks.secret import Wanted
from otelhealth.errors import ProbeError
from otelhealth.model import Attributes, CheckResult, Measurement
from otelhealth.units import Duration, LocalPath, duration_text, size_text

_SYSTEM: Attributes = (("db.system.name", "sqlite"),)
_STEPS = 2000  # of SQLite's virtual machine between two looks at the deadline: well below 1 ms
_MOST_COLUMNS = 50
_WORDS = {
    "SQLITE_BUSY": "locked",
    "SQLITE_LOCKED": "locked",
    "SQLITE_CORRUPT": "corrupt",
    "SQLITE_NOTADB": "not_a_database",
    "SQLITE_INTERRUPT": "timeout",
    "SQLITE_CANTOPEN": "cannot_open",
    "SQLITE_PERM": "permission_denied",
    "SQLITE_IOERR": "io_error",
}


class SqliteCheck(Check):
    """Opens the file read-only, in a thread, and never creates it."""

    summary: ClassVar[str] = "a SQLite file answers a query, whose columns become measurements; size, age, integrity"
    open_measurements: ClassVar[bool] = True
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity(
            "response_time",
            "s",
            "histogram",
            "Time of the query, opening included.",
            "db.client.operation.duration",
            ("db.system.name",),
        ),
        Quantity("size", "By", "updowncounter", "Size of the file.", "otelhealth.sqlite.size"),
        Quantity("pages", "{page}", "updowncounter", "Pages of the database.", "otelhealth.sqlite.pages"),
        Quantity(
            "pages.free",
            "{page}",
            "updowncounter",
            "Pages that `VACUUM` would give back.",
            "otelhealth.sqlite.pages.free",
        ),
        Quantity("age", "s", "gauge", "Since the file or its journal was last written.", "otelhealth.sqlite.age"),
    )

    kind: Literal["sqlite"] = "sqlite"
    path: LocalPath = Field(description="The database file, which must exist.")
    query: Wanted = Field(
        "SELECT 1", min_length=1, description="A query; the numbers of its first row become measurements by column."
    )
    integrity: bool = Field(False, description="Also run `PRAGMA quick_check`, which reads the whole file.")
    max_age: Duration | None = Field(None, description="Fail when nothing was written for longer than this.")

    async def probe(self, ctx: Context) -> CheckResult:
        job = Job(self, ctx.clock.monotonic, ctx.deadline)
        verb = self.query.split(None, 1)[0].upper()
        attributes = {"db.system.name": "sqlite", "db.operation.name": verb, "db.namespace": Path(self.path).name}
        with ctx.client_span(f"{verb} {Path(self.path).name}", attributes):
            try:
                measurements = await ctx.in_thread(job.run)
            except asyncio.CancelledError:
                job.cancelled = True
                raise
            except sqlite3.Error as error:
                raise _told(self.path, error) from error
        newest = max(_written(Path(self.path)), default=0.0)
        age = max(0.0, ctx.clock.time() - newest)
        if self.max_age is not None and age > self.max_age:
            raise ProbeError("stale", f"{self.path} was last written {duration_text(age)} ago")
        size = next(each.value for each in measurements if each.name == "size")
        sentence = f"{Path(self.path).name} answers ({size_text(size)})"
        return passed(sentence, *measurements, Measurement("age", age, "s"))


class Job:
    """What happens in the thread. It ends itself when its deadline passes or its run is given up."""

    def __init__(self, check: SqliteCheck, monotonic: Callable[[], float], deadline: float) -> None:
        self._check = check
        self._monotonic = monotonic
        self._deadline = deadline
        self.cancelled = False

    def run(self) -> list[Measurement]:
        """Raises sqlite3.Error, and ProbeError where the file or the answer is not as it should be."""
        path = Path(self._check.path)
        if not path.is_file():
            raise ProbeError("not_found", f"there is no file {path}")
        begun = self._monotonic()
        # A lock is reported, not waited for to the end: the deadline is the caller's, the sentence is ours.
        patience = max(0.0, min(1.0, (self._deadline - begun) / 2))
        uri = f"file:{quote(str(path))}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, timeout=patience, isolation_level=None)) as connection:
            connection.set_progress_handler(self._late, _STEPS)
            cursor = connection.execute(self._check.query)
            row = cursor.fetchone()
            taken = self._monotonic() - begun
            columns = [column[0] for column in cursor.description or ()]
            cursor.close()
            figures = [Measurement("response_time", taken, "s", _SYSTEM), *_sizes(connection)]
            if self._check.query != "SELECT 1":
                figures += _row(columns, row)
            if self._check.integrity:
                _whole(connection, path)
        return figures

    def _late(self) -> bool:
        return self.cancelled or self._monotonic() > self._deadline


def _sizes(connection: sqlite3.Connection) -> Iterator[Measurement]:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    yield Measurement("size", pages * size, "By")
    yield Measurement("pages", pages, "{page}")
    yield Measurement("pages.free", free, "{page}")


def _row(columns: list[str], row: tuple[object, ...] | None) -> list[Measurement]:
    if row is None:
        raise ProbeError("no_rows", "the query returned no row")
    named = list(zip(columns, row, strict=True))[:_MOST_COLUMNS]
    return [Measurement(name, float(value), "") for name, value in named if isinstance(value, (int, float))]


def _whole(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise ProbeError("corrupt", f"{path} is damaged: {str(found)[:200]}")


def _written(path: Path) -> Iterator[float]:
    """Of the file and of its write-ahead log, where the newest rows are."""
    for place in (path, path.with_name(path.name + "-wal")):
        if place.is_file():
            yield place.stat().st_mtime


def _told(path: str, error: sqlite3.Error) -> ProbeError:
    name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
    primary = "_".join(name.split("_")[:2])
    return ProbeError(_WORDS.get(primary, name.lower()), f"{path}: {error}")
