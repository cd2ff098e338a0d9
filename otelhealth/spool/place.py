"""Which file a process has its spool in, and which files dead processes have left behind."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

from otelhealth.clock import Clock
from otelhealth.errors import OtelHealthError
from otelhealth.lock import Claim, Lock, claim
from otelhealth.spool.ages import Ages, Anchor
from otelhealth.spool.file import STEP, File, next_number
from otelhealth.spool.letter import Letter
from otelhealth.sqlite import is_corrupt, move_aside, remove

SERVICE = "service"  # whose file it is
ANCHOR = "anchor"  # what the times in it are told by
TENANT = "tenant"  # which process has, or had, it last
ADOPTED = "adopted"  # the tenant whose file was taken over last: who did may have died before it was removed
_MOST = 64  # files of one folder
log = logging.getLogger("otelhealth.spool")


class Place(NamedTuple):
    """The files `stem`, `stem`-1 ... or, with a `number` in the name already, that and those that follow."""

    folder: Path
    stem: str
    slot: int | None = None
    suffix: str = ".db"
    service: str = ""

    @classmethod
    def of(cls, path: Path, service: str) -> Place:
        """The file that a user names."""
        return cls(path.parent, path.stem, None, path.suffix, service)

    @classmethod
    def beside(cls, folder: Path, role: str, slot: int, service: str) -> Place:
        """`spool-<role>-<slot>.db`."""
        return cls(folder, f"spool-{role}", slot, ".db", service)

    def names(self) -> Iterator[Path]:
        """The file, and those to take while another process has it."""
        for number in range(_MOST):
            ending = f"-{self.slot + number}" if self.slot is not None else f"-{number}" if number else ""
            yield self.folder / f"{self.stem}{ending}{self.suffix}"

    def claim(self) -> Claim:
        """The first that no other process has. Raises OSError, or OtelHealthError where all are taken."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if found := claim(self.names()):
            return found
        raise OtelHealthError(f"{_MOST} processes have their spools in {self.folder} already")

    def orphans(self) -> Iterator[tuple[Path, Lock]]:
        """What dead processes left, each locked for us."""
        found = self.folder.glob("spool-*-*.db") if self.slot is not None else self.names()
        for path in sorted(path for path in found if path.exists()):
            lock = Lock(path)
            try:
                if lock.take() and path.exists():
                    yield path, lock
            except OSError as error:
                log.warning("the spool %s of another process cannot be looked at: %s", path, error)
            finally:
                lock.release()


def open_file(path: Path, now: float) -> File:
    """A damaged one is moved aside, and said. Raises sqlite3.Error or OSError where there can be none."""
    try:
        return File(path)
    except sqlite3.Error as error:
        if not is_corrupt(error):
            raise
        set_aside(path, str(error), now)
        return File(path)


def set_aside(path: Path, damage: str, now: float) -> None:
    log.error("the spool %s is damaged (%s); it is now %s, a new one starts", path, damage, move_aside(path, now))


def adopt(into: File, place: Place, ages: Ages, clock: Clock) -> int:
    """Take over what dead processes of the same service left; how many requests."""
    taken = 0
    for path, lock in place.orphans():
        try:
            found = _left_in(path, place.service, ages, clock)
            if found is None:
                continue
            tenant, letters = found
            if not tenant or tenant != into.about(ADOPTED):
                numbers = count(next_number(into.last[0]), STEP)
                into.exchange((one._replace(number=next(numbers)) for one in letters), said=(ADOPTED, tenant))
                taken += len(letters)
        except (sqlite3.Error, OSError, ValueError) as error:
            log.warning("what waits in the spool %s of a dead process cannot be sent: %s", path, error)
            continue
        remove(path)
        lock.release(remove=True)
    return taken


def _left_in(path: Path, service: str, ages: Ages, clock: Clock) -> tuple[str, list[Letter]] | None:
    """Whose it was and what waits there, its times told by our own clock; None where it is another service's."""
    left = File(path, new=False)
    try:
        if left.about(SERVICE) != service:
            return None
        later = ages.now() - Ages(clock, Anchor.of(left.about(ANCHOR))).now()
        return left.about(TENANT), [letter._replace(at=letter.at + later) for letter in left.every()]
    finally:
        left.close()
