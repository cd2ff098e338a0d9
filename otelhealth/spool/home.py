"""The file that is this process' own: claimed, and renewed where it is damaged."""

from __future__ import annotations

import sqlite3
import uuid
from pathlib import Path

from otelhealth.clock import Clock
from otelhealth.errors import OtelHealthError
from otelhealth.lock import Lock
from otelhealth.spool.ages import Ages, Anchor
from otelhealth.spool.file import File
from otelhealth.spool.place import ANCHOR, SERVICE, TENANT, Place, adopt, open_file, set_aside

REFUSED = (OSError, sqlite3.Error, OtelHealthError)  # how a disk says that it cannot be used


class Home:
    """At `place`; `file` is None where there is none: without a place, or before it could be claimed."""

    def __init__(self, place: Place | None, clock: Clock) -> None:
        self._place = place
        self._clock = clock
        self._lock: Lock | None = None
        self.file: File | None = None
        self.ages = Ages(clock)

    def claim(self) -> int:
        """Open it, with what dead processes left behind; how many requests that are. Raises REFUSED."""
        if self._place is None:
            return 0
        try:
            _, path, self._lock = self._place.claim()
            self.file = self._open(path)
            self.ages = Ages(self._clock, Anchor.of(self.file.about(ANCHOR)), self.file.last[1])
            self.file.say(ANCHOR, str(self.ages.anchor))
            taken = adopt(self.file, self._place, self.ages, self._clock)
        except REFUSED:
            self.leave()
            raise
        return taken

    def renew(self, damage: str) -> None:
        """Move the damaged file aside and begin another. Raises REFUSED."""
        if self.file is None or self.file.path is None:
            return
        path = self.file.path
        self.file.close()
        try:
            set_aside(path, damage, self._clock.time())
            self.file = self._open(path)
            self.file.say(ANCHOR, str(self.ages.anchor))
        except REFUSED:
            self.leave()
            raise

    def _open(self, path: Path) -> File:
        file = open_file(path, self._clock.time())
        try:
            if self._place is not None:
                file.say(SERVICE, self._place.service)
                file.say(TENANT, uuid.uuid4().hex)
        except BaseException:
            file.close()
            raise
        return file

    def leave(self) -> None:
        """Let another process have it."""
        if self.file is not None:
            self.file.close()
        self._let_go()

    def abandon(self) -> None:
        """In a forked child: file and connection are the parent's, and closing them here would spoil them there."""
        if self.file is not None:
            _of_the_parent.append(self.file)
        self._let_go()

    def _let_go(self) -> None:
        if self._lock is not None:
            self._lock.release()
        self.file = self._lock = None


_of_the_parent: list[File] = []
