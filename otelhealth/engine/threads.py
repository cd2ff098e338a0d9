"""The bounded pool of daemon threads in which sync code of checks runs. All its books are kept in the event loop."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from collections import deque
from collections.abc import Callable, Mapping
from queue import SimpleQueue
from typing import Any, TypeVar

from otelhealth.clock import SYSTEM, Clock
from otelhealth.engine.lanes import THREAD
from otelhealth.engine.telling import Lag, unheard
from otelhealth.errors import ThreadsBlockedError
from otelhealth.units import duration_text

T = TypeVar("T")
IDLE = 4  # threads kept for the next call
log = logging.getLogger("otelhealth.threads")


class Job:
    """One call on behalf of a check."""

    __slots__ = ("asked", "context", "error", "function", "given_up", "loop", "owner", "value", "waiter", "worker")

    def __init__(self, owner: str, function: Callable[[], Any], asked: float) -> None:
        self.owner = owner
        self.function = function
        self.asked = asked
        self.context = contextvars.copy_context()
        self.loop = asyncio.get_running_loop()
        self.waiter: asyncio.Future[None] = self.loop.create_future()
        self.worker: Worker | None = None
        self.value: Any = None
        self.error: BaseException | None = None
        self.given_up = False

    def act(self) -> None:
        """In the thread. What the code raises, SystemExit too, goes to the one who waits: the runner judges it."""
        try:
            self.value = self.context.run(self.function)
        except BaseException as error:  # noqa: BLE001 - handed on, not swallowed
            self.error = error


class Worker:
    """A thread that takes one job after another from its inbox; None ends it."""

    __slots__ = ("inbox",)

    def __init__(self, done: Callable[[Worker, Job], None], number: int) -> None:
        self.inbox: SimpleQueue[Job | None] = SimpleQueue()
        threading.Thread(target=self._work, args=(done,), name=f"otelhealth-check-{number}", daemon=True).start()

    def _work(self, done: Callable[[Worker, Job], None]) -> None:
        while (job := self.inbox.get()) is not None:
            job.act()
            try:
                job.loop.call_soon_threadsafe(done, self, job)
            except RuntimeError:  # the loop has been closed: nobody waits any more
                return
            del job


class ThreadLane:
    """`model.Threads`: at most `threads` at once; one whose caller was cancelled while it works counts as blocked, and
    from `most_blocked` of them on nothing more is started. The process never waits for them at its end."""

    def __init__(
        self,
        clock: Clock = SYSTEM,
        *,
        threads: int = 96,
        most_blocked: int = 64,
        lag: Lag = unheard,
    ) -> None:
        self._clock = clock
        self._threads = threads
        self._most_blocked = most_blocked
        self._lag = lag
        self._jobs: dict[str, Job] = {}  # by owner: those that work and those that wait
        self._queue: deque[Job] = deque()
        self._idle: list[Worker] = []
        self._alive = 0
        self._started = 0
        self._blocked: dict[str, float] = {}  # owner -> since when (monotonic seconds)
        self._shouted = False

    @property
    def running(self) -> Mapping[str, int]:
        """Calls that work, by lane name, as of the scheduler."""
        return {THREAD: len(self._jobs) - len(self._queue)}

    @property
    def blocked(self) -> int:
        """Threads still in a function whose run was cancelled, by its deadline as a rule."""
        return len(self._blocked)

    @property
    def blocked_owners(self) -> tuple[str, ...]:
        """The checks that hold those threads, the longest first."""
        return tuple(self._blocked)

    async def run(self, owner: str, function: Callable[[], T]) -> T:
        """`function()` in a thread on behalf of the check `owner`; raises ThreadsBlockedError when none can be had."""
        self._refuse(owner)
        job = self._jobs[owner] = Job(owner, function, self._clock.monotonic())
        self._queue.append(job)
        self._assign()
        try:
            await job.waiter
        except asyncio.CancelledError:
            self._give_up(job)
            raise
        if job.error is not None:
            raise job.error
        value: T = job.value
        return value

    def _refuse(self, owner: str) -> None:
        now = self._clock.monotonic()
        if owner in self._blocked:
            since = duration_text(now - self._blocked[owner])
            raise ThreadsBlockedError(
                f"an earlier run of {owner} was given up {since} ago and still blocks its thread",
                "give its code a time limit of its own",
            )
        if owner in self._jobs:
            raise ThreadsBlockedError(f"{owner} already uses a thread", "let it make one sync call after the other")
        if len(self._blocked) < self._most_blocked:
            return
        sentence = f"{len(self._blocked)} threads are blocked by sync checks that do not end"
        if not self._shouted:
            self._shouted = True
            log.error("%s; further sync checks are unknown. They are: %s", sentence, ", ".join(self._blocked))
        raise ThreadsBlockedError(sentence, "give their code time limits of its own, or restart")

    def _assign(self) -> None:
        while self._queue and (self._idle or self._alive < self._threads):
            job = self._queue.popleft()
            if self._idle:
                worker = self._idle.pop()
            else:
                self._alive += 1
                self._started += 1
                worker = Worker(self._done, self._started)
            job.worker = worker
            self._lag(THREAD, max(0.0, self._clock.monotonic() - job.asked))
            worker.inbox.put(job)

    def _give_up(self, job: Job) -> None:
        if job.worker is None:
            self._queue.remove(job)
            del self._jobs[job.owner]
        elif self._jobs.get(job.owner) is job:  # else it has ended in this very moment
            job.given_up = True
            self._blocked[job.owner] = self._clock.monotonic()
            log.warning("sync code of check %s was given up but still blocks a thread", job.owner)

    def _done(self, worker: Worker, job: Job) -> None:
        del self._jobs[job.owner]
        if job.given_up:
            blocked = self._clock.monotonic() - self._blocked.pop(job.owner)
            log.info("the thread of check %s is free again after %s", job.owner, duration_text(blocked))
            self._shouted = self._shouted and len(self._blocked) >= self._most_blocked
        elif not job.waiter.done():
            job.waiter.set_result(None)
        if self._queue or len(self._idle) < IDLE:
            self._idle.append(worker)
            self._assign()
        else:
            self._alive -= 1
            worker.inbox.put(None)
