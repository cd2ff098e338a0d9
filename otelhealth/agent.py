"""The agent: what is due is run, judged, recorded, kept and told. `beat` and `tick` are the two ways of the data."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from otelhealth.answers import Answers
from otelhealth.checks.base import Check
from otelhealth.checks.host import HostSample, HostSampler
from otelhealth.clock import SYSTEM, Clock
from otelhealth.config.load import find, from_mapping, load
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.engine.board import Board
from otelhealth.engine.runner import TIMEOUT, Runner
from otelhealth.engine.scheduler import Scheduler
from otelhealth.engine.threads import ThreadLane
from otelhealth.errors import ThreadsBlockedError
from otelhealth.kinds.python import Function, as_check
from otelhealth.model import CheckRecord, CheckResult, HealthReport, ServiceStatus, StateChange, Status
from otelhealth.once import Around, chosen
from otelhealth.reload import Reload, differing
from otelhealth.server.app import create_app
from otelhealth.server.serve import Server
from otelhealth.store import Store, StoreSettings, default_path
from otelhealth.telemetry.resource import Identity
from otelhealth.telemetry.setup import Telemetry
from otelhealth.telemetry.windows import HTTP_CHECKS

SECOND = 1.0
SAMPLE_EVERY = 10  # s between readings of the host for `performance`
SAMPLER = "the agent itself"  # no check has such a name
CLOSING = 5.0  # s that a stop may take, whatever the collector does
WINDOWS = "windows"  # the name under which the store keeps the counts of 24 h
LEVELS = {Status.PASS: logging.INFO, Status.FAIL: logging.ERROR}
log = logging.getLogger("otelhealth")


class Rounds:
    """The rooms at work: each check's beat, and the tick of time."""

    def __init__(self, config: Config, clock: Clock) -> None:
        service = config.service
        identity = Identity(service.name, service.version, service.environment, str(config.file or ""))
        self.clock = clock
        self.store = _store(config.store, service.name, clock)
        self.telemetry = Telemetry.prepare(config.telemetry, identity, clock)
        self.instruments = self.telemetry.instruments
        self.board = Board(config.status)
        self.threads = ThreadLane(clock, lag=self.instruments.scheduler_lag)
        self.runner = Runner(clock, self.threads, Around(self.telemetry.export_path), self.telemetry.tracer)
        self.scheduler = Scheduler(
            self.beat,
            clock,
            lag=self.instruments.scheduler_lag,
            skipped=self.instruments.skipped,
            jumped=self.board.shift,
        )
        self.sampler = HostSampler(clock=clock)
        self.host = HostSample()
        self._told = -1  # the board's revision that the service's metrics show

    async def beat(self, check: Check, due: float, _lane: str) -> None:
        """One run, from due (monotonic seconds) to told."""
        root = self.telemetry.spans.start_run(check, self.clock.monotonic() - due)
        result = await self.runner.run(check, root)
        state = self.board.states.get(check.name)
        if state is None:  # removed while it ran
            return
        now = self.clock.time()
        change = state.apply(result, now)
        self.board.touch(check.name)
        self.telemetry.spans.finish_run(root, check, result, state.status)
        self.instruments.record(check, result, state.status)
        if check.requests:
            self.telemetry.windows.add(HTTP_CHECKS, result.duration, result.status is Status.FAIL)
        if change:
            self.tell(change, check, result)
        self.store.run(result, state.snapshot(now) if state.snapshot_due(now) else None)
        self.scheduler.hurry(check.name, state.undecided)
        self.scheduler.slow(check.name, result.error_type == TIMEOUT)

    def tick(self) -> None:
        """What time alone changes, once a second."""
        for change in self.board.sweep(self.clock.time()):
            self.tell(change, self.board.states[change.name].check, None)
        for lane, count in (*self.scheduler.running.items(), *self.threads.running.items()):
            self.instruments.running(lane, count)
        self.instruments.threads_blocked(self.threads.blocked)
        if self._told != self.board.revision:
            self._told, view = self.board.revision, self.board.view()
            self.instruments.service(view.status, view.score)

    async def sample(self) -> None:
        """The host's figures for `performance`; a disk that hangs holds up only its own."""
        with suppress(TimeoutError, ThreadsBlockedError):
            async with asyncio.timeout(SAMPLE_EVERY):
                await self.threads.run(SAMPLER, self.sampler.read_disks)
        self.host = self.sampler.sample()
        self.store.count(WINDOWS, self.telemetry.windows.snapshot())

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
        log.log(LEVELS.get(change.status, logging.WARNING), "%s: %s -> %s: %s", *words)

    def put(self, check: Check, known: Mapping[str, Any] | None = None) -> None:
        """Watch a check, or follow its new settings; `known` is its kept state."""
        now, before = self.clock.time(), self.board.states.get(check.name)
        running = before is not None and before.check.enabled
        state = self.board.put(check, now)
        if known is not None:
            try:
                state.restore(known, now)
            except ValueError as error:
                log.warning("the state of %s starts anew: %s", check.name, error)
            self.board.touch(check.name)
        self.runner.forget(check.name)
        if not check.enabled:
            self.scheduler.remove(check.name)
            self.instruments.forget(check.name)
            return
        self.instruments.add(check, state.status)
        if running:
            self.scheduler.replace(check)
        else:
            self.scheduler.add(check)

    def drop(self, name: str) -> None:
        """Forget a check everywhere but in the store."""
        self.scheduler.remove(name)
        self.board.drop(name)
        self.runner.forget(name)
        self.instruments.forget(name)

    async def tick_for_ever(self) -> None:
        while True:
            self.tick()
            due = self.clock.monotonic() + SECOND
            await asyncio.sleep(SECOND)
            self.instruments.loop_lag(max(0.0, self.clock.monotonic() - due))

    async def sample_for_ever(self) -> None:
        await self.sample()
        await asyncio.sleep(SECOND)  # the CPU's first share is that of a short moment
        while True:
            await self.sample()
            await asyncio.sleep(SAMPLE_EVERY)

    async def close(self, within: float) -> None:
        """Keep every state, send what is left, in `within` seconds."""
        self.store.count(WINDOWS, self.telemetry.windows.snapshot())
        now = self.clock.time()
        for state in self.board:
            self.store.state(state.name, state.snapshot(now))
        await asyncio.gather(asyncio.to_thread(self.telemetry.close, within), self.store.close(within))


class Agent:
    """Runs checks from `async with` to its end, in the running event loop.

    `config` is a path, a mapping, a Config, or None for what `otelhealth run` would find. Raises ConfigError for a bad
    one, OtelHealthError where the address or the store cannot be had.
    """

    def __init__(self, config: Config | Mapping[str, Any] | Path | str | None = None, *, clock: Clock = SYSTEM) -> None:
        sources = Sources()
        first = self._first = _read(config, sources)
        self._rounds = Rounds(first, clock)
        self._reload = Reload(first, sources, clock, self._apply, self._rounds.instruments.config_reload)
        self._answers = Answers(first.service, self._rounds, self.run_checks, self._reload.record)
        self._server = Server(create_app(self._answers, first.server, clock), first.server)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        rounds, first = self._rounds, self._first
        states, counters = rounds.store.open()
        rounds.telemetry.windows.restore(counters.get(WINDOWS) or {})
        for check in first.checks.values():
            rounds.put(check, states.get(check.name))
        try:
            if first.server.enabled:
                await self._server.start()
        except BaseException:
            await rounds.close(1.0)
            raise
        rounds.telemetry.start()
        running = (rounds.scheduler.run(), rounds.tick_for_ever(), rounds.sample_for_ever(), self._reload.watch())
        self._tasks = [self._loop.create_task(part) for part in running]
        rounds.telemetry.events.agent_start(f"otelhealth watches {first.service.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        rounds = self._rounds
        deadline = rounds.clock.monotonic() + CLOSING
        rounds.board.drain()
        await rounds.scheduler.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop(1.0)
        rounds.telemetry.events.agent_stop(f"otelhealth stops watching {self._first.service.name}")
        await rounds.close(max(1.0, deadline - rounds.clock.monotonic()))

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._reload.config

    @property
    def url(self) -> str:
        """Where it answers, from this machine; empty while it does not."""
        return self._server.url

    @property
    def telemetry(self) -> Telemetry:
        """Its providers are for the program's own spans and metrics."""
        return self._rounds.telemetry

    @property
    def store(self) -> Store:
        """Where states and history are kept."""
        return self._rounds.store

    def report(self) -> HealthReport:
        """What `/health/detailed` answers."""
        return self._answers.report()

    def evaluate(self) -> ServiceStatus:
        """The state of the service."""
        return self._rounds.board.view().status

    def add(self, check: Check | Function) -> None:
        """Watch a check, or a function (`@check` or plain), besides those of the configuration; from any thread.

        One of the same name is replaced. Raises OtelHealthError where a function's fields are not those of a check.
        """
        made = check if isinstance(check, Check) else as_check(check)
        if self._loop is None or self._loop is _running_loop():
            self._rounds.put(made)
        else:
            self._loop.call_soon_threadsafe(self._rounds.put, made)

    async def run_checks(self, *names: str) -> Mapping[str, CheckRecord]:
        """Run these checks now (all without names), or join their runs that go; the records then, from any loop.

        Raises OtelHealthError for a strange name.
        """
        if self._loop is not None and self._loop is not asyncio.get_running_loop():
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.run_checks(*names), self._loop))
        checks = chosen({state.name: state.check for state in self._rounds.board}, names)
        await asyncio.gather(*(self._rounds.scheduler.once(check.name) for check in checks if check.enabled))
        return self._answers.records(*(check.name for check in checks))

    async def reload(self) -> None:
        """Read the configuration file again, as on SIGHUP; a bad one keeps the old, and is said."""
        await self._reload.again()

    def _apply(self, old: Config, new: Config) -> None:
        """What a reload changed."""
        for name, check in differing(old, new):
            if check is None:
                self._rounds.drop(name)
            else:
                self._rounds.put(check)
        self._rounds.board.configure(new.status)


def _read(config: Config | Mapping[str, Any] | Path | str | None, sources: Sources) -> Config:
    if isinstance(config, Config):
        return config
    if isinstance(config, Mapping):
        return from_mapping(config, os.environ)
    file = Path(config) if config is not None else find(None, os.environ, Path.cwd())
    return load(file, os.environ, sources)


def _store(settings: StoreSettings, service: str, clock: Clock) -> Store:
    path = settings.path or default_path(service, os.environ)
    return Store(path, settings.keep, max_size=settings.max_size, clock=clock)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
