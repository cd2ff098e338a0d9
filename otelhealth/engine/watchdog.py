"""Names what blocks the event loop. A thread looks: seldom at rest, closely once the loop has stood still."""

from __future__ import annotations

import logging
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from otelhealth.checks.base import Context
from otelhealth.clock import Clock
from otelhealth.records import BlockRecord

LIMIT = 1.0  # s for which the loop may not go on
REST, CLOSE = 10.0, 0.25  # s between two looks
ALERT = 600.0  # s of close looks after the loop stood still
_SURE = 0.05  # s after which the loop must still be there
_FRAMES = 30
_IDLE = ("selectors", "asyncio.base_events", "asyncio.runners", "asyncio.events", "asyncio.proactor_events")
_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep  # noqa: PTH120 - compared with the code's own texts
_LIBRARY = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - same
log = logging.getLogger("otelhealth.loop")


@dataclass(slots=True)
class Block:
    """The loop stood still: where, in which check if in one, since when (Unix seconds) and how long (s)."""

    where: str
    check: str | None
    since: float
    seconds: float


class Watchdog:
    """`overdue` tells how many seconds ago the loop should have gone on."""

    def __init__(self, overdue: Callable[[], float], clock: Clock) -> None:
        self._overdue = overdue
        self._clock = clock
        self._blocks: deque[Block] = deque(maxlen=10)
        self._now: Block | None = None  # while it lasts
        self._told: set[object] = set()
        self._close_until = 0.0
        self._hurry, self._ended = threading.Event(), threading.Event()
        self._watched = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the loop that runs in this thread."""
        self._watched = threading.get_ident()
        thread = threading.Thread(target=self._look_on, name="otelhealth-watchdog", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            self._hurry.set()

    def late(self, seconds: float) -> None:
        """The loop goes on, that much too late: for the loop's own thread."""
        if seconds < LIMIT:
            return
        block, self._now = self._now, None
        if block is not None:
            block.seconds = seconds
        elif self._close_until == 0.0:
            log.warning(
                "the event loop stood still for %.1f s: code that blocks it, or a machine that gave no CPU; "
                "what blocks it is named when it happens again",
                seconds,
            )
        self._close_until = self._clock.monotonic() + ALERT
        self._hurry.set()

    def records(self) -> list[BlockRecord]:
        """The last ones that were seen, for the report."""
        return [
            BlockRecord(where=each.where, check=each.check, since=int(each.since), seconds=round(each.seconds, 3))
            for each in list(self._blocks)
        ]

    def _look_on(self) -> None:
        while not self._ended.is_set():
            close = self._clock.monotonic() < self._close_until
            if not close:
                self._hurry.clear()
            self._look()
            if close:
                self._ended.wait(CLOSE)
            else:
                self._hurry.wait(REST)

    def _look(self) -> None:
        if self._now is not None or self._overdue() < LIMIT:
            return
        frame = self._frame()
        place = _place(frame)
        del frame  # it would keep all that its function holds
        self._ended.wait(_SURE)
        seconds, frame = self._overdue(), self._frame()
        if seconds >= LIMIT and frame is not None and place is not None and _place(frame) == place:
            self._found(frame, place, seconds)

    def _frame(self) -> FrameType | None:
        """What the loop's thread does now."""
        return sys._current_frames().get(self._watched)  # noqa: SLF001 - Python's documented way

    def _found(self, frame: FrameType, place: str, seconds: float) -> None:
        check = _check(frame)
        block = self._now = Block(place, check, self._clock.time() - seconds, seconds)
        self._blocks.append(block)
        if (check, place) in self._told:
            return
        self._told.add((check, place))
        stack = "".join(traceback.format_list(traceback.extract_stack(frame)[-_FRAMES:]))
        who = f"check {check}" if check else "code of this process"
        log.error(
            "%s blocks the event loop for %.1f s now, at %s: no other check runs and nothing is answered meanwhile; "
            "let it await, or make it a plain `def`, which runs in a thread",
            who,
            seconds,
            place,
            extra={"code.stacktrace": stack},
        )


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    """From the innermost one outwards."""
    while frame is not None:
        yield frame
        frame = frame.f_back


def _place(frame: FrameType | None) -> str | None:
    """Where a person would look: the innermost line that is neither a library's nor ours; None while the loop waits."""
    if frame is None or str(frame.f_globals.get("__name__")).startswith(_IDLE):
        return None
    foreign = (each for each in _frames(frame) if not _is_library(each.f_code.co_filename))
    chosen = next(foreign, frame)
    return f"{chosen.f_code.co_filename}:{chosen.f_lineno} in {chosen.f_code.co_qualname}"


def _is_library(file: str) -> bool:
    return file.startswith((_PACKAGE, _LIBRARY, "<")) or f"{os.sep}site-packages{os.sep}" in file


def _check(frame: FrameType | None) -> str | None:
    """The check whose probe is running: it, the runner or the kind holds the run's context."""
    for each in _frames(frame):
        found = each.f_locals.get("ctx")
        if isinstance(found, Context):
            return found.name
    return None
