"""The agent, as a program holds it: its life from entering to leaving, and what may be asked of it."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from starlette.types import ASGIApp

from otelhealth.checks import resolve
from otelhealth.checks.base import Check
from otelhealth.checks.registry import as_check
from otelhealth.checks.secret import secrets_of
from otelhealth.clock import SYSTEM, Clock
from otelhealth.config.load import find, from_mapping, load
from otelhealth.config.root import Config
from otelhealth.config.sources import Sources
from otelhealth.errors import OtelHealthError
from otelhealth.logs.otlp import OwnHandler, program_handler
from otelhealth.model import Child, ServiceStatus
from otelhealth.once import chosen
from otelhealth.records import CheckRecord, HealthReport
from otelhealth.redaction import Redactor
from otelhealth.reload import Reload, differing
from otelhealth.reporter import Reporter
from otelhealth.rounds import Rounds
from otelhealth.server.app import create_app
from otelhealth.server.serve import Server
from otelhealth.store import Store
from otelhealth.telemetry.resource import FOLDER
from otelhealth.telemetry.setup import Telemetry
from otelhealth.workers import HISTORY, RUN

if TYPE_CHECKING:
    from otelhealth.kinds.python import Function
    from otelhealth.server.receiver import Receiver

Role = Literal["agent", "app", "program"]
log = logging.getLogger("otelhealth")
LINGERING = 2.0  # s of it for senders of OTLP, who may be told to stop in the same moment
LEAVING = 1.0  # s of it for the last news to other workers
CLOSING = 3.5  # s that a stop may take, whatever the collector does: its process is to end within 5
SAVING = 0.3  # s each for telemetry and states, where a stop cannot be waited for
_INSIDE = "run checks inside `async with`"


class Agent:
    """Runs checks from `async with` to its end, in the running event loop.

    `config` is a path, a mapping, a Config, or None for what `otelhealth run` would find; a Config that was read from
    files follows their changes by the `sources` that `load` told. Raises ConfigError for a bad one, OtelHealthError
    where the address or the store cannot be had. It is entered once. In the role `app` it lives inside a web
    application: it does not listen, the application's server gives out its `app`. In the role `program` it lives
    in a thread of one, and listens once it runs the checks: an address that is taken is said, and no error; so does
    one of the role `agent` below `otelhealth exec`, which has another beside it. The processes of a service in either
    role share their work; `led` is set in the one that runs the checks, once it listens where it can.
    `child` is the service that `otelhealth exec` runs beside it. `environ` is what stands above the configuration.
    """

    def __init__(  # noqa: PLR0913 - most have their default
        self,
        config: Config | Mapping[str, Any] | Path | str | None = None,
        *,
        clock: Clock = SYSTEM,
        sources: Sources | None = None,
        role: Role = "agent",
        child: Child | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        sources = sources or Sources()
        role = self._role = _role(role, child, environ)
        first = self._first = read(config, sources, environ)
        self._listens = first.server.enabled and role != "app"
        self.led = asyncio.Event()
        self._rounds = Rounds(first, clock, role, child, environ)
        self._reload = Reload(first, sources, environ, clock, self._apply, self._rounds.instruments.config_reload)
        self._receiver = _receiver(first, self._rounds, role)
        self._reporter = Reporter(first, self._rounds, self.run_checks, self._reload.record, self._receiver)
        self._app = create_app(self._reporter, first.server, clock)
        self._server = Server(self._app, first.server)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._log: OwnHandler | None = None

    async def __aenter__(self) -> Self:
        if self._loop is not None:
            raise OtelHealthError("an agent is entered once", "make another Agent")
        self._loop = asyncio.get_running_loop()
        rounds, first = self._rounds, self._first
        try:
            await rounds.join(self._asked)
            for check in first.checks.values():
                rounds.roster.put(check)
            if rounds.leads.is_set():
                await self._listen()
            if self._receiver is not None:
                await self._receiver.start()
        except BaseException:
            await self._server.stop(0.0)
            await self._leave(rounds.clock.monotonic() + 1.0)
            raise
        rounds.telemetry.start()
        if first.log.otlp != "off" and rounds.telemetry.log_records is not None:
            self._log = OwnHandler(rounds.telemetry.log_records, rounds.redact, first.log.otlp)
        running = (rounds.beat_for_ever(), rounds.sample_for_ever(), self._reload.watch(), self._listen())
        self._tasks = [self._loop.create_task(part) for part in running]
        rounds.telemetry.events.agent_start(f"otelhealth watches {first.service.name}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        rounds, deadline = self._rounds, self._rounds.clock.monotonic() + CLOSING
        rounds.board.drain()
        left = [asyncio.ensure_future(self._receiver.left(LINGERING))] if self._receiver else []
        await rounds.scheduler.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await resolve.close()
        await asyncio.gather(*left)
        await asyncio.gather(*(each.stop(1.0) for each in (self._server, self._receiver) if each is not None))
        if self._log is not None:
            self._log.close()
        rounds.telemetry.events.agent_stop(f"otelhealth stops watching {self._first.service.name}")
        await self._leave(deadline)

    def save(self) -> None:
        """Keep on disk what is in memory, from another thread: the last act where the event loop is blocked."""
        self._rounds.save(SAVING)

    def release(self) -> None:
        """Let go of what making it took; for an agent that is not entered."""
        if self._rounds.worker:
            self._rounds.worker.release()

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._reload.config

    @property
    def url(self) -> str:
        """Where it answers, from this machine; empty while it does not."""
        return self._server.url

    @property
    def receiver(self) -> str:
        """Where it takes OTLP over HTTP, from this machine; empty while it does not."""
        return self._receiver.url if self._receiver else ""

    @property
    def app(self) -> ASGIApp:
        """Its endpoints with their guard, for a server of the program's own."""
        return self._app

    @property
    def redact(self) -> Redactor:
        """Knows the configuration's secrets, and keeps them out of texts."""
        return self._rounds.redact

    @property
    def telemetry(self) -> Telemetry:
        """Its providers are for the program's own spans and metrics."""
        return self._rounds.telemetry

    def log_handler(self, level: int = logging.NOTSET) -> logging.Handler:
        """For loggers of the program's own, such as the root: their records leave over OTLP with its telemetry."""
        return program_handler(self.telemetry.log_records, self.redact, level)

    @property
    def store(self) -> Store:
        """Where states and history are kept."""
        return self._rounds.store

    def drain(self) -> None:
        """Unready from now on: the service is about to stop."""
        self._rounds.board.drain()

    def report(self) -> HealthReport:
        """What `/health/detailed` answers."""
        return self._reporter.report()

    def evaluate(self) -> ServiceStatus:
        """The state of the service; `unhealthy` before the agent is entered, as while it starts."""
        return self._rounds.board.view().status if self._loop else ServiceStatus.UNHEALTHY

    def add(self, check: Check | Function) -> None:
        """Watch a check, or a function (`@check` or plain), besides those of the configuration; from any thread.

        One of the same name is replaced. Raises OtelHealthError where a function's fields are not those of a check.
        """
        made = as_check(check)
        self._rounds.redact.learn(secrets_of(made))
        if self._loop is None or self._loop is _running_loop():
            self._rounds.roster.put(made)
        else:
            self._loop.call_soon_threadsafe(self._rounds.roster.put, made)

    async def run_checks(self, *names: str) -> Mapping[str, CheckRecord]:
        """Run these checks now (all without names), or join their runs that go; the records then, from any loop.

        Raises OtelHealthError for a strange name, before the agent is entered, and once it stops.
        """
        if self._loop is None or self._rounds.board.view().draining:
            raise OtelHealthError(f"the agent has {'stopped' if self._loop else 'not started'}", _INSIDE)
        if self._loop is not asyncio.get_running_loop():
            return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self.run_checks(*names), self._loop))
        if (leader := self._rounds.leader) is not None:
            return await leader.run(names, metered=False)
        checks = chosen({state.name: state.check for state in self._rounds.board}, names)
        await asyncio.gather(*(self._rounds.scheduler.once(check.name) for check in checks if check.enabled))
        return self._reporter.records(*(check.name for check in checks))

    async def reload(self) -> None:
        """Read the configuration file again, as on SIGHUP; a bad one keeps the old, and is said."""
        await self._reload.again()

    async def _listen(self) -> None:
        """As soon as this process runs the checks; once."""
        await self._rounds.leads.wait()
        try:
            if self._listens and not self.led.is_set():
                await self._server.start()
        except OtelHealthError as error:
            if self._role != "program":
                raise
            log.warning("the agent works and answers nowhere: %s", error)
        self.led.set()

    async def _leave(self, deadline: float) -> None:
        """Keep and send what is left, until then (monotonic seconds), and let another process run the checks."""
        rounds = self._rounds
        if rounds.worker:
            await rounds.worker.leave(LEAVING)
        await rounds.close(max(1.0, deadline - rounds.clock.monotonic()))
        self.release()

    async def _asked(self, what: str, values: Sequence[Any]) -> Any:
        """What another worker asks of this one, which leads."""
        if what == HISTORY:
            return await self._reporter.history(*values)
        if what == RUN:
            names, metered = values
            return await (self._reporter.run_checks if metered else self.run_checks)(*names)
        return None

    def _apply(self, old: Config, new: Config) -> None:
        """What a reload changed."""
        self._rounds.redact.learn(new.secrets)
        for name, check in differing(old, new):
            if check is None:
                self._rounds.roster.drop(name)
            else:
                self._rounds.roster.put(check)
        self._rounds.board.configure(new.status)


def read(
    config: Config | Mapping[str, Any] | Path | str | None, sources: Sources, environ: Mapping[str, str]
) -> Config:
    """A configuration in any of the forms that Agent takes; ConfigError for a bad one."""
    if isinstance(config, Config):
        return config
    if isinstance(config, Mapping):
        return from_mapping(config, environ)
    file = Path(config) if config is not None else find(None, environ, Path.cwd())
    return load(file, environ, sources)


def _role(role: Role, child: Child | None, environ: Mapping[str, str]) -> Role:
    beneath = role == "agent" and child is None and FOLDER in environ
    return "program" if beneath else role


def _receiver(config: Config, rounds: Rounds, role: str) -> Receiver | None:
    if rounds.telemetry.receiving is None:
        return None
    if role != "agent":
        log.warning("telemetry.receive is left aside: workers share no address; run an agent beside the application")
        return None
    from otelhealth.server.receiver import Receiver  # noqa: PLC0415 - 20 ms of a start, where nothing is received

    return Receiver(rounds.telemetry.receiving, config.server.auth, rounds.telemetry, rounds.clock)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
