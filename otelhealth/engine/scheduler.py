"""Starts the beat of each check when it is due. One timer for all; a task only for a run that goes."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context, attach

from otelhealth.checks.base import Check
from otelhealth.clock import SYSTEM, Clock
from otelhealth.engine.lanes import Lanes, Limits
from otelhealth.engine.schedule import Entry, Timetable
from otelhealth.engine.telling import Lag, unheard

TICK = 0.01  # s: the least sleep, because waking for each due time alone burns the CPU
LONGEST = 1.0  # s: the longest sleep, so that a jump of the wall clock is seen
BATCH = 200  # starts in one tick, so that the loop breathes in between
CLOSING = 2.0  # s that cancelled runs have to close what they opened

Beat = Callable[[Check, float], Coroutine[Any, Any, object]]
log = logging.getLogger("otelhealth.scheduler")


class Scheduler:
    """Calls `beat(check, due)` for each check on its schedule; `due` in seconds of `clock.monotonic()`.

    Runs of one check never overlap. What it sees it tells: `lag(lane, seconds)` at each start, `skipped(reason, runs)`
    with the reason `overlap` (its last run still goes or waits) or `missed` (passed over in a stall or clock jump),
    `jumped(seconds)` when the wall clock was set, `woke(seconds)` whenever it woke, at least once a second, and how
    much later than asked.
    """

    def __init__(  # noqa: PLR0913 - built in one place, the agent
        self,
        beat: Beat,
        clock: Clock = SYSTEM,
        *,
        limits: Limits | None = None,
        lag: Lag = unheard,
        skipped: Callable[[str, int], None] = unheard,
        jumped: Callable[[float], None] = unheard,
        woke: Callable[[float], None] = unheard,
    ) -> None:
        self._beat = beat
        self._clock = clock
        self._lag = lag
        self._skipped = skipped
        self._jumped = jumped
        self._woke = woke
        self._timetable = Timetable(clock.monotonic(), clock.time())
        self._lanes = Lanes(self._start, limits or Limits())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._waking = 0.0  # when the timer is to fire, in monotonic seconds
        self._ended: asyncio.Event | None = None
        self._context = contextvars.Context()  # runs inherit no caller's span

    def __contains__(self, name: object) -> bool:
        return name in self._timetable.entries

    def add(self, check: Check, first: float | None = None) -> None:
        """Schedule a check; its first run `first` seconds from now, else within min(every, 5 s) (cron: at its time)."""
        self.remove(check.name)
        self._timetable.add(check, self._clock.monotonic(), self._clock.time(), first)
        self._arm()

    def remove(self, name: str) -> None:
        """Forget a check and cancel its run; a name that is not there is no error."""
        entry = self._timetable.remove(name)
        if entry is None:
            return
        if entry.task:
            entry.task.cancel()
        elif entry.stage == "waiting":
            self._finish(entry)

    def replace(self, check: Check) -> None:
        """Follow a check's new settings; due times stay where the timing is as before, a run that goes may end."""
        self._timetable.replace(check, self._clock.monotonic(), self._clock.time())
        self._arm()

    def hurry(self, name: str, undecided: bool) -> None:
        """Run the check every / 5, at least 1 s apart, while it is undecided."""
        self._timetable.hurry(name, undecided, self._clock.monotonic())
        if undecided:
            self._arm()

    def slow(self, name: str, timed_out: bool) -> None:
        """Send the check's runs through the slow lane until it answers again."""
        entry = self._timetable.entries.get(name)
        if entry is not None:
            entry.slow = timed_out

    async def once(self, name: str) -> None:
        """Run the check now, or join the run that goes, and wait for its end; raises KeyError for a strange name.

        The run finds the caller's span current: it belongs to the request that asked for it.
        """
        entry = self._timetable.entries[name]
        waiter = asyncio.get_running_loop().create_future()
        if entry.waiters is None:
            entry.waiters = []
        entry.waiters.append(waiter)
        if not entry.stage:
            entry.around = _of_caller()
            self._lanes.submit(entry, self._clock.monotonic())
        await waiter

    @property
    def running(self) -> Mapping[str, int]:
        """Runs going, by lane."""
        return self._lanes.running

    @property
    def waiting(self) -> int:
        """Runs that are due and wait for room in their lane."""
        return self._lanes.waiting

    def overdue(self) -> float:
        """Seconds since it should have woken; may be asked from any thread."""
        return self._clock.monotonic() - self._waking if self._loop is not None else 0.0

    def is_running(self, name: str) -> bool:
        entry = self._timetable.entries.get(name)
        return entry is not None and entry.stage == "running"

    async def run(self) -> None:
        """Start what is due until `stop`; cancelled, it stops too."""
        self._loop = asyncio.get_running_loop()
        self._ended = asyncio.Event()
        self._arm()
        try:
            await self._ended.wait()
        finally:
            self._disarm()

    async def stop(self) -> None:
        """Start nothing more, cancel what runs and give it 2 s to close what it opened."""
        self._disarm()
        entries = list(self._timetable.entries.values())
        tasks = [entry.task for entry in entries if entry.task]
        for entry in entries:
            self.remove(entry.check.name)
        if tasks:
            _, stuck = await asyncio.wait(tasks, timeout=CLOSING)
            if stuck:
                log.warning("%d runs did not end within %g s of being cancelled", len(stuck), CLOSING)
        if self._ended:
            self._ended.set()

    def _disarm(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None
        self._loop = None

    def _arm(self) -> None:
        """Wake when the next check is due, or earlier than planned so far."""
        loop = self._loop
        if loop is None:
            return
        due, now = self._timetable.next_due(), self._clock.monotonic()
        delay = LONGEST if due is None else min(LONGEST, max(TICK, due - now))
        if self._lanes.waiting:
            delay = min(delay, 5 * TICK)
        if self._timer:
            if self._timer.when() <= loop.time() + delay:
                return
            self._timer.cancel()
        self._timer = loop.call_later(delay, self._tick, context=self._context)
        self._waking = now + delay

    def _tick(self) -> None:
        self._timer = None
        late = max(0.0, self._clock.monotonic() - self._waking)
        try:
            self._start_due()
        finally:
            self._arm()
        self._woke(late)

    def _start_due(self) -> None:
        now, wall = self._clock.monotonic(), self._clock.time()
        timetable, lanes = self._timetable, self._lanes
        if jumped := timetable.jump(now, wall):
            log.info("the wall clock moved by %+.1f s", jumped)
            self._jumped(jumped)
        lanes.sweep(now)
        for entry, due in timetable.take(now, wall, BATCH):
            if not entry.stage:
                lanes.submit(entry, due)
            else:
                self._skipped("overlap", 1)
        if timetable.missed:
            self._skipped("missed", timetable.missed)
            timetable.missed = 0

    def _start(self, entry: Entry, due: float) -> None:
        entry.begun = self._clock.monotonic()
        self._lag(entry.lane, max(0.0, entry.begun - due))
        around, entry.around = entry.around or self._context.copy(), None
        entry.task = task = asyncio.get_running_loop().create_task(self._beat(entry.check, due), context=around)
        task.add_done_callback(partial(self._ended_run, entry), context=self._context)

    def _ended_run(self, entry: Entry, task: asyncio.Task[object]) -> None:
        if not task.cancelled() and (error := task.exception()):
            log.error("the beat of check %s failed", entry.check.name, exc_info=error)
        entry.task = None
        self._finish(entry)

    def _finish(self, entry: Entry) -> None:
        waiters, entry.waiters = entry.waiters, None
        for waiter in waiters or ():
            if not waiter.done():
                waiter.set_result(None)
        self._lanes.release(entry)


def _of_caller() -> contextvars.Context:
    """The caller's span, and nothing else that is current there."""
    around = contextvars.Context()
    around.run(attach, trace.set_span_in_context(trace.get_current_span(), Context()))
    return around
