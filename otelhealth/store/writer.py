"""Keeps states, runs and state changes over restarts: SQLite, one writer thread. It never holds up the agent."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar

from otelhealth.clock import SYSTEM, Clock
from otelhealth.complaint import Complaint
from otelhealth.errors import OtelHealthError
from otelhealth.model import CheckResult, StateChange
from otelhealth.records import History, RenewalRecord, StoreRecord
from otelhealth.sqlite import is_corrupt
from otelhealth.store.backlog import BATCH, Backlog, Batch
from otelhealth.store.database import Database
from otelhealth.store.settings import Keep
from otelhealth.units import MEMORY

T = TypeVar("T")
LATEST = 10.0  # s that a row waits for others: each write wakes a thread and touches six pages
RETRY = 5.0  # s until a write that failed is tried again
_UNWRITABLE = "the store %s cannot be written (%s); tried again every %g s"
_UNOPENED = (
    "the store %s cannot be opened (%s): what was kept is not known, and what comes waits in memory; make room on its "
    "disk or repair it, or set `store.path`; tried again every %g s"
)
log = logging.getLogger("otelhealth.store")


class Store:
    """Takes rows at once and writes them soon: within 10 s, or 100 of them, in one transaction, or before one is read.

    While the disk is slow or full the newest 20,000 runs wait and older ones are dropped and counted.
    """

    def __init__(
        self, path: str | Path, keep: Keep | None = None, *, max_size: int = 2**30, clock: Clock = SYSTEM
    ) -> None:
        keep = keep or Keep()
        self.path = path
        self._database = Database(path if path == MEMORY else Path(path), keep.runs, keep.history, max_size, clock)
        self._waiting = Backlog()
        self._asked: deque[Callable[[], None]] = deque()
        self._some, self._now, self._end = threading.Event(), threading.Event(), threading.Event()
        self._ended: Callable[[], object] | None = None
        self._complaint = Complaint(log)  # that it cannot be written
        self._asleep = False
        self._thread: threading.Thread | None = None

    def open(self) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
        """Open or make the file and start writing; gives the kept states and counters by name.

        Raises OtelHealthError where another process has it, or it can neither be read nor made. A damaged file is
        moved aside, and said loudly; so is a disk that is full, broken or read-only, which is tried again and again.
        """
        try:
            kept = self._database.open()
        except sqlite3.OperationalError as error:
            kept = {}, {}
            self._fail(error, _UNOPENED)
        self._thread = threading.Thread(target=self._write_on, name="otelhealth-store", daemon=True)
        self._thread.start()
        return kept

    def run(self, result: CheckResult, snapshot: Mapping[str, Any] | None = None) -> None:
        """Keep a run, and its state's snapshot where one is due."""
        self._waiting.add(result)
        if snapshot is not None:
            self._waiting.states[result.name] = snapshot
        self._wake(len(self._waiting.runs) >= BATCH)

    def change(self, change: StateChange) -> None:
        """Keep a state change; it is written at once."""
        self._waiting.changes.append(change)
        self._wake(True)

    def state(self, name: str, snapshot: Mapping[str, Any]) -> None:
        """Keep a state's snapshot."""
        self._waiting.states[name] = snapshot
        self._wake(False)

    def counter(self, key: str, value: object) -> None:
        """Keep a JSON value under a name."""
        self._waiting.counters[key] = value
        self._wake(False)

    @property
    def queued(self) -> int:
        """Runs that wait to be written."""
        return len(self._waiting.runs)

    @property
    def dropped(self) -> int:
        """Runs that were lost because the disk was too slow or full, or refused them."""
        return self._waiting.dropped

    @property
    def renewed(self) -> RenewalRecord | None:
        """That the file was lost or damaged while it was used, the last time: what was in it has to come again."""
        return self._database.renewed

    def record(self) -> StoreRecord:
        """What the report tells of it."""
        return StoreRecord(
            path=str(self.path),
            waiting=self.queued,
            dropped=self.dropped,
            problem=self._complaint.problem or None,
            renewed=self.renewed,
        )

    async def history(self, name: str, since: float, limit: int) -> History:
        """Runs and changes of a check since then (Unix seconds), newest first, at most `limit` of each.

        Raises OtelHealthError where the file cannot be read.
        """
        return await self._ask(lambda: self._database.history(name, since, limit))

    async def close(self, within: float = 5.0) -> None:
        """Write what waits, but for no longer than `within` seconds."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        ended, loop = asyncio.Event(), asyncio.get_running_loop()
        self._ended = lambda: loop.call_soon_threadsafe(ended.set)
        self._end.set()
        self._wake(True)
        try:
            await asyncio.wait_for(ended.wait(), within if thread.is_alive() else 0)
        except TimeoutError:
            log.error("the store could not be written within %g s; %d runs are lost", within, self.queued)  # noqa: TRY400 - the sentence is enough

    def end(self, within: float) -> None:
        """As `close`, where no event loop goes on."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._end.set()
            self._wake(True)
            thread.join(within)

    def _wake(self, now: bool) -> None:
        if now and not self._now.is_set():
            self._now.set()
        if self._asleep:
            self._some.set()

    async def _ask(self, question: Callable[[], T]) -> T:
        """Put a question to the thread that has the file."""
        if self._thread is None or not self._thread.is_alive():
            raise OtelHealthError("the store is closed")
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._asked.append(partial(_settle, answer, question))
        self._wake(True)
        return await answer

    def _write_on(self) -> None:
        while True:
            self._wait()
            ending = self._end.is_set()
            self._now.clear()
            asked = len(self._asked)
            done = self._write()
            self._serve(asked)
            if ending:
                break
            if not done:
                self._pause()
        self._database.close()
        if self._ended is not None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._ended()

    def _wait(self) -> None:
        """Until rows have waited long enough, or one may not wait; while they keep coming nobody has to wake us."""
        if self._now.wait(LATEST) or self._waiting:
            return
        self._asleep = True
        if not self._waiting and not self._now.is_set():
            self._some.wait()
        self._asleep = False
        self._some.clear()
        self._now.wait(LATEST)

    def _serve(self, questions: int) -> None:
        for _ in range(questions):
            self._asked.popleft()()

    def _pause(self) -> None:
        until = time.monotonic() + RETRY
        while time.monotonic() < until and not self._end.wait(0.1):
            self._serve(len(self._asked))
        self._now.set()

    def _write(self) -> bool:
        """Write all that waits; False where the disk refused."""
        while self._waiting:
            batch = self._waiting.take()
            try:
                self._database.write(batch)
            except sqlite3.Error as error:
                if not self._repair(error, batch):
                    return False
                continue
            self._complaint.withdraw("the store can be written again; %d runs were dropped so far", self.dropped)
        return True

    def _repair(self, error: sqlite3.Error, batch: Batch) -> bool:
        """After a write that failed: whether to go on at once."""
        if not isinstance(error, sqlite3.OperationalError) and not is_corrupt(error):
            log.error("the store refused %d runs, which are dropped: %s", len(batch.runs), error)
            self._waiting.dropped += len(batch.runs)
            return True
        self._waiting.put_back(batch)
        if not is_corrupt(error):
            return self._fail(error)
        try:
            self._database.set_aside(error)
        except (sqlite3.Error, OSError) as again:
            return self._fail(again)
        return True

    def _fail(self, error: Exception, sentence: str = _UNWRITABLE) -> Literal[False]:
        self._complaint.make(error, sentence, self.path, error, RETRY)
        return False


def _settle(answer: asyncio.Future[T], question: Callable[[], T]) -> None:
    """Put the question, in the thread that has the file, and give the answer to who waits for it in a loop."""

    def give(found: T | OtelHealthError) -> None:
        if answer.done():
            return
        if isinstance(found, OtelHealthError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    try:
        found: T | OtelHealthError = question()
    except sqlite3.Error as error:
        found = OtelHealthError(f"the store cannot be read: {error}")
    with contextlib.suppress(RuntimeError):  # the loop has been closed
        answer.get_loop().call_soon_threadsafe(give, found)
