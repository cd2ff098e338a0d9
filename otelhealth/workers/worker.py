"""One process among the workers of a service: it leads, which is to run the checks, or follows the one that does."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from otelhealth.clock import Clock
from otelhealth.complaint import Complaint
from otelhealth.engine.roster import Roster
from otelhealth.engine.threads import ThreadLane
from otelhealth.errors import OtelHealthError
from otelhealth.lock import Claim
from otelhealth.model import Exposition
from otelhealth.telemetry.setup import Telemetry
from otelhealth.workers.asks import Asks, Handler
from otelhealth.workers.exchange import Exchange, Exchanged
from otelhealth.workers.families import together
from otelhealth.workers.leader import Leader
from otelhealth.workers.news import Draft

THREAD = "the workers' file"  # no check has such a name
EVERY, ALONE, SOON = 0.25, 1.0, 0.05  # s between two exchanges; of a worker alone; while a reply is to come
AGAIN = 5.0  # s after which a worker that could not lead stands again
BATCH = 100  # checks at a time, before others get their turn
PATIENCE = 5.0  # s that the others' metrics may take
_MAKE = "make it in each of them, as instrument(app) does"
log = logging.getLogger("otelhealth.workers")


class Worker:
    """Beside the `store`, which the leader alone opens."""

    def __init__(self, store: Path, slot: Claim, roster: Roster, telemetry: Telemetry, clock: Clock) -> None:
        self._slot = slot
        self._roster = roster
        self._clock = clock
        self._exchange = Exchange(store, slot.number, telemetry, clock)
        self._election = self._exchange.election
        self._thread = ThreadLane(threads=1)
        self._woken = asyncio.Event()
        self._draft = Draft()
        self._asks = Asks(self._woken.set)
        self.leader = Leader(self._election, self._asks, roster.board, clock)
        self._everything = True  # is to be told of the checks
        self._wanted: asyncio.Future[list[Exposition]] | None = None
        self._leaving = False
        self._task: asyncio.Task[None] | None = None
        self._stands_from = 0.0  # monotonic seconds
        self._no_news, self._no_store = Complaint(log), Complaint(log)

    async def join(self, lead: Callable[[], None], handler: Handler) -> None:
        """Lead at once where nobody does, by `lead`; else learn what the leader knows, as soon as it is heard.

        `handler` is for what the others ask while this one leads. Raises OtelHealthError as `lead` does.
        """
        self._lead, self._asks.handler = lead, handler
        if not self._slot.lock.held:
            log.warning("workers share a service.instance.id: their agent was made before they were forked; %s", _MAKE)
        done = await self._turn()
        if self._election.leads:
            lead()
            self._asks.take(done.news.asks)
        # of its own context: it is no part of what happens to start it
        self._task = asyncio.get_running_loop().create_task(self._run(), context=contextvars.Context())
        self._task.add_done_callback(_say_broken)
        if not self._roster.leads:
            await self.leader.greet()

    async def leave(self, within: float) -> None:
        """Tell the others the last news, in `within` seconds."""
        self._leaving = True
        self._woken.set()
        await self._asks.close()
        if self._task is None:  # it did not join
            return
        _, late = await asyncio.wait((self._task,), timeout=within)
        if late:
            log.warning("the last news could not be told to the other workers within %g s", within)
            self._task.cancel()

    def release(self) -> None:
        """Let another lead, and have the number."""
        self._election.resign()
        self._slot.lock.release()

    @property
    def counted(self) -> bool:
        """Whether the requests of the day are known from the others."""
        return self._exchange.counted

    def told(self) -> dict[str, Any]:
        """For the report: which worker this is, and how the one that runs the checks is."""
        leads = self._roster.leads
        return {
            "number": self._slot.number,
            "pid": os.getpid(),
            "leads": leads,
            "leader_pid": os.getpid() if leads else self._election.leader or None,
            "leader_silent_seconds": round(self._election.silence(), 1),
            "error": self.leader.silent or None,
        }

    async def exposition(self, own: Exposition) -> Exposition:
        """The metrics of all workers, those of the others as of 10 s ago at most."""
        if self._leaving or self._exchange.alone:
            return own
        if self._wanted is None:
            self._wanted = asyncio.get_running_loop().create_future()
            self._woken.set()
        try:
            async with asyncio.timeout(PATIENCE):
                others = await asyncio.shield(self._wanted)
        except TimeoutError:
            others = []
        return together([own, *others])

    async def _run(self) -> None:
        while True:
            await self._pause()
            if self._leaving:
                break
            if self._roster.leads and self._exchange.alone:
                continue
            done = await self._turn()
            if self._election.leads and not self._roster.leads:
                self._take_over()
            if self._roster.leads:
                self._asks.take(done.news.asks)
                continue
            self.leader.look()
        if not self._exchange.alone:
            await self._turn()
        await self._thread.run(THREAD, self._exchange.close)

    async def _pause(self) -> None:
        delay = SOON if self._asks.waits else ALONE if self._exchange.alone else EVERY
        timer = asyncio.get_running_loop().call_later(delay, self._woken.set)
        await self._woken.wait()
        timer.cancel()
        self._woken.clear()

    async def _turn(self) -> Exchanged:
        """Tell and hear the news."""
        wanted = self._wanted
        draft, stand = await self._drafted(), self._clock.monotonic() >= self._stands_from
        act = partial(self._exchange.act, draft, stand=stand and not self._leaving, metrics=wanted is not None)
        try:
            done = await self._thread.run(THREAD, act)
        except (sqlite3.Error, OSError) as error:
            self._no_news.make(error, "the workers of this service cannot tell each other their news: %s", error)
            done = Exchanged()
        else:
            self._no_news.withdraw("the workers of this service tell each other their news again")
        if done.told:
            self._draft = Draft()
        if done.fresh:
            self._everything = True
            self._draft.parts, self._draft.counts = [], []  # they are told again, with all others
            self._woken.set()
        if wanted is not None and done.metrics is not None:
            self._wanted = None
            wanted.set_result(done.metrics)
        await self._take_in(done)
        return done

    async def _drafted(self) -> Draft:
        draft, board = self._draft, self._roster.board
        self._asks.tell(draft)
        draft.left = self._leaving
        if not self._roster.leads:
            return draft
        names = set(board.states) if self._everything or board.touched is None else board.touched
        self._everything, board.touched = False, set()
        for count, name in enumerate(names, 1):
            state = board.states.get(name)
            draft.states[name] = state.dump() if state else None
            if count % BATCH == 0:
                await asyncio.sleep(0)
        return draft

    async def _take_in(self, done: Exchanged) -> None:
        states = list(done.news.states.items())
        for start in range(0, len(states), BATCH):
            for name, snapshot in states[start : start + BATCH]:
                self._roster.hear(name, snapshot)
            if not self._roster.leads:
                self._roster.sweep()  # what is told may be old
            await asyncio.sleep(0)
        self._asks.hear(done.news.replies)

    def _take_over(self) -> None:
        before = self._election.leader
        try:
            self._lead()
        except OtelHealthError as error:
            self._election.resign()
            self._stands_from = self._clock.monotonic() + AGAIN
            self._no_store.make(error, "this worker cannot run the checks: %s", error)
        else:
            self._everything = True
            self.leader.complaint.problem = self._no_store.problem = ""
            log.warning("this worker runs the checks from now on: the one that did (pid %s) is gone", before)


def _say_broken(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()):
        log.error("the news of the other workers end here", exc_info=error)
