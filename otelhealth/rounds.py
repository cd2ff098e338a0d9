"""What the agent does all day: the beat of each check, and the tick of time. The two ways of the data are told here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from otelhealth.checks.base import Check
from otelhealth.checks.host import HostSample, HostSampler
from otelhealth.clock import Clock
from otelhealth.config.root import Config
from otelhealth.engine.board import Board
from otelhealth.engine.roster import Roster
from otelhealth.engine.runner import TIMEOUT, Runner
from otelhealth.engine.scheduler import Scheduler
from otelhealth.engine.threads import ThreadLane
from otelhealth.engine.watchdog import Watchdog
from otelhealth.errors import ThreadsBlockedError
from otelhealth.lock import Claim
from otelhealth.model import CheckResult, Child, StateChange, Status, Surroundings
from otelhealth.records import RenewalRecord
from otelhealth.redaction import Redactor
from otelhealth.store import Store, StoreSettings, default_path
from otelhealth.telemetry import runtime
from otelhealth.telemetry.logs import of_change
from otelhealth.telemetry.setup import Telemetry
from otelhealth.telemetry.windows import HTTP_CHECKS
from otelhealth.units import MEMORY
from otelhealth.workers.slot import slot_beside

if TYPE_CHECKING:
    from otelhealth.workers.asks import Handler
    from otelhealth.workers.leader import Leader
    from otelhealth.workers.worker import Worker

SECOND = 1.0
SAMPLE_EVERY = 10  # s between readings of the host for `performance`
SAMPLER = "the agent itself"  # no check has such a name
WINDOWS = "windows"  # the name under which the store keeps the counts of 24 h
LOG_LEVELS = {Status.PASS: logging.INFO, Status.FAIL: logging.ERROR}
log = logging.getLogger("otelhealth")
log_of_states = logging.getLogger("otelhealth.state")  # over OTLP these leave as events


class Rounds:
    """The rooms at work: each check's beat, and the tick of time."""

    def __init__(
        self, config: Config, clock: Clock, role: str, child: Child | None, environ: Mapping[str, str]
    ) -> None:
        self.clock = clock
        self.leads = asyncio.Event()
        self.store = _store(config.store, config.service.name, clock, role, environ)
        self.redact = Redactor(config.secrets)
        several = role != "agent"
        slot = slot_beside(Path(self.store.path)) if several and self.store.path != MEMORY else None
        identity = config.identity(role, slot.number if slot else 0, "" if slot or not several else uuid4().hex)
        self.telemetry = Telemetry.prepare(
            config.telemetry, identity, clock, environ, store=self.store.path, redact=self.redact
        )
        self.instruments = self.telemetry.instruments
        self.board = Board(config.status)
        self.threads = ThreadLane(clock, lag=self.instruments.scheduler_lag)
        around = Surroundings(self.telemetry.export_path, self.telemetry.export_record, child)
        self.runner = Runner(clock, self.threads, around, self.telemetry.tracer, self.raised, self.redact)
        self.scheduler = Scheduler(
            self.beat,
            clock,
            lag=self.instruments.scheduler_lag,
            skipped=self.instruments.skipped,
            jumped=self.board.shift,
            woke=self.woke,
        )
        self.watchdog = Watchdog(self.scheduler.overdue, clock)
        self.instruments.observe(self.look)
        self.roster = Roster(self.board, self.runner, self.scheduler, self.instruments, clock)
        self.sampler = HostSampler(clock=clock)
        self.host = HostSample()
        self._renewed: RenewalRecord | None = None  # of the store, when everything was kept
        self._told = -1  # the board's revision that the service's metrics show
        self.worker = self._among_workers(slot) if slot else None

    def _among_workers(self, slot: Claim) -> Worker:
        from otelhealth.workers.worker import Worker  # noqa: PLC0415 - an agent that is alone has no use for it

        return Worker(Path(self.store.path), slot, self.roster, self.telemetry, self.clock)

    async def beat(self, check: Check, due: float) -> None:
        """One run, from due (monotonic seconds) to told."""
        root = self.telemetry.spans.start_run(check, self.clock.monotonic() - due)
        result = await self.runner.run(check, root)
        state = self.board.states.get(check.name)
        if state is None:  # removed while it ran
            return
        now = self.clock.time()
        change = state.apply(result, now)
        self.board.touch(check.name)
        self.telemetry.spans.finish_run(root, result, state.status)
        in_trace = root.get_span_context().trace_flags.sampled  # an exemplar never names a trace that is dropped
        self.instruments.record(check, result if in_trace else result._replace(trace_id=""), state.status)
        if check.requests:
            self.telemetry.windows.add(HTTP_CHECKS, result.duration, result.status is Status.FAIL)
        if change:
            self.tell(change, check, result)
        self.store.run(result, state.snapshot(now) if state.snapshot_due(now) else None)
        self.scheduler.hurry(check.name, state.undecided)
        self.scheduler.slow(check.name, result.error_type == TIMEOUT)

    def woke(self, late: float) -> None:
        """The scheduler did, `late` seconds. A timer of its own would cost an agent at rest a tenth of its CPU."""
        self.instruments.loop_lag(late)
        self.watchdog.late(late)
        self.tick()

    def tick(self) -> None:
        """What time alone changes, at least once a second."""
        if not self.roster.leads:
            self.roster.sweep()
            return
        for change in self.board.sweep(self.clock.time()):
            self.tell(change, self.board.states[change.name].check, None)
        if self._renewed is not self.store.renewed:
            self._renewed = self.store.renewed
            self.keep()
        if self._told != self.board.revision:
            self._told, view = self.board.revision, self.board.view()
            self.instruments.service(view.status, view.score)

    def look(self) -> None:
        """What is, when it is exported or scraped; from their threads."""
        for lane, count in (*self.scheduler.running.items(), *self.threads.running.items()):
            self.instruments.running(lane, count)
        self.instruments.threads_blocked(self.threads.blocked)

    async def sample(self) -> None:
        """The host's figures for `performance`; a disk that hangs holds up only its own."""
        with suppress(TimeoutError, ThreadsBlockedError):
            async with asyncio.timeout(SAMPLE_EVERY):
                await self.threads.run(SAMPLER, self.sampler.read_disks)
        self.host = self.sampler.sample()
        self.instruments.set(runtime.TASKS, (), len(asyncio.all_tasks()))
        if self.roster.leads:
            self.store.counter(WINDOWS, self.telemetry.windows.snapshot())

    def raised(self, check: Check, result: CheckResult, error: BaseException) -> None:
        """A probe, or a user's code in it, raised: told when it was not so the run before."""
        state = self.board.states.get(check.name)
        if state is None or state.last is None or state.last.error_type != result.error_type:
            self.telemetry.events.exception(check, result, error)

    def tell(self, change: StateChange, check: Check, result: CheckResult | None) -> None:
        """A state moved: metric, log event with its evidence, store, and the agent's own log."""
        use = {
            "system.cpu.utilization": self.host.cpu_usage_percent / 100,
            "system.memory.utilization": self.host.memory_usage_percent / 100,
        }
        self.instruments.transition(change)
        self.telemetry.events.state_change(change, check, result, use)
        self.store.change(change)
        words = (change.name, change.previous.value, change.status.value, change.message)
        level = LOG_LEVELS.get(change.status, logging.WARNING)
        told = {**of_change(change, check), "trace_id": change.trace_id, "span_id": change.span_id}
        log_of_states.log(level, "%s: %s -> %s: %s", *words, extra=told)

    def restore(self, counters: Mapping[str, Any]) -> None:
        """Take up the day's counts that the store kept; odd ones are left, they end with the day."""
        try:
            self.telemetry.windows.restore(counters.get(WINDOWS) or {})
        except (TypeError, ValueError, AttributeError) as error:
            log.warning("the counts of the last 24 h start anew: %s", error)

    async def join(self, handler: Handler) -> None:
        """Run the checks, or follow the process that does; see `Worker.join`."""
        if self.worker:
            await self.worker.join(self.lead, handler)
        else:
            self.lead()

    def lead(self) -> None:
        """Run the checks from now on. Raises OtelHealthError where the store cannot be had."""
        kept, counters = self.store.open()
        if self.worker is None or not self.worker.counted:
            self.restore(counters)
        self.roster.lead(kept)
        self.leads.set()
        if self.board.states:  # at a start there are none yet, and none is not all that have to pass
            self.tick()

    @property
    def leader(self) -> Leader | None:
        """The process that runs the checks, where it is another one."""
        return None if self.worker is None or self.roster.leads else self.worker.leader

    async def beat_for_ever(self) -> None:
        with runtime.pauses(self.instruments.gc_pause), self.watchdog.watching():
            self.tick()
            await self.scheduler.run()

    async def sample_for_ever(self) -> None:
        await self.sample()
        await asyncio.sleep(SECOND)  # the CPU's first share is that of a short moment
        while True:
            await self.sample()
            await asyncio.sleep(SAMPLE_EVERY)

    def keep(self) -> None:
        """Everything that a restart takes up."""
        self.store.counter(WINDOWS, self.telemetry.windows.snapshot())
        now = self.clock.time()
        for state in self.board:
            self.store.state(state.name, state.snapshot(now))

    async def close(self, within: float) -> None:
        """Keep every state, send what is left, in `within` seconds."""
        if self.roster.leads:
            self.keep()
        await asyncio.gather(self.store.close(within), _apart(self.telemetry.close, within))

    def save(self, within: float) -> None:
        """As `close`, from a thread, where the event loop does not come to it."""
        if self.roster.leads:
            self.keep()
        self.store.end(within)
        self.telemetry.close(within)


def _store(settings: StoreSettings, service: str, clock: Clock, role: str, environ: Mapping[str, str]) -> Store:
    path = settings.path or default_path(service, environ, role)
    return Store(path, settings.keep, max_size=settings.max_size, clock=clock)


async def _apart(act: Callable[[float], object], within: float) -> None:
    """`act(within)` in a thread of its own: one of the loop's would want one more thread to end."""
    context = copy_context()
    with ThreadPoolExecutor(1) as thread:
        try:
            going = asyncio.get_running_loop().run_in_executor(thread, context.run, act, within)
        except RuntimeError:  # the interpreter ends, and its pools take nothing more
            act(within)
        else:
            await going
