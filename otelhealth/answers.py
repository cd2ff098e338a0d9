"""What the server asks of the agent (`model.Served`), answered from what board, telemetry and store know already."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol

from otelhealth.checks.host import HostSample
from otelhealth.clock import Clock
from otelhealth.config.root import Config
from otelhealth.engine.board import Board
from otelhealth.engine.scheduler import Scheduler
from otelhealth.engine.threads import ThreadLane
from otelhealth.engine.throttle import Throttle
from otelhealth.engine.watchdog import Watchdog
from otelhealth.model import Exposition, Status
from otelhealth.records import (
    BriefReport,
    CheckRecord,
    ConfigRecord,
    GroupCheck,
    GroupReport,
    HealthReport,
    History,
    Performance,
)
from otelhealth.store import Store
from otelhealth.telemetry.setup import Telemetry
from otelhealth.version import __version__
from otelhealth.workers import Worker
from otelhealth.workers.leader import Leader

if TYPE_CHECKING:
    from otelhealth.server.receiver import Receiver

LIVE = "live"
GOOD = (Status.PASS, Status.WARN)


class Rooms(Protocol):
    """Where the answers come from."""

    clock: Clock
    board: Board
    scheduler: Scheduler
    threads: ThreadLane
    telemetry: Telemetry
    store: Store
    host: HostSample
    watchdog: Watchdog
    worker: Worker | None

    @property
    def leader(self) -> Leader | None: ...


class Answers:
    """From memory and at once, but for what can be awaited. What only the process that runs the checks can answer is
    asked of it."""

    def __init__(
        self,
        settings: Config,
        rooms: Rooms,
        run_now: Callable[..., Awaitable[Mapping[str, CheckRecord]]],
        config: ConfigRecord,
        receiver: Receiver | None = None,
    ) -> None:
        self.service = settings.service
        self.rooms = rooms
        self.run_now = run_now
        self.config = config
        self.receiver = receiver
        self._throttle = Throttle(settings.server.limits.runs_per_minute, rooms.clock)
        self._started = rooms.clock.monotonic()

    def revision(self) -> int:
        return self.rooms.board.revision

    def uptime(self) -> float:
        """Seconds."""
        return self.rooms.clock.monotonic() - self._started

    def brief(self) -> BriefReport:
        view = self.rooms.board.view()
        report = BriefReport(
            status=view.status.value,
            timestamp=int(self.rooms.clock.time()),
            uptime_seconds=int(self.uptime()),
            service=self.service.name,
            version=self.service.version,
        )
        if view.starting:
            report["starting"] = True
        if view.draining:
            report["draining"] = True
        return report

    def report(self) -> HealthReport:
        now = self.rooms.clock.time()
        view = self.rooms.board.view()
        return HealthReport(
            status=view.status.value,
            timestamp=int(now),
            service=self.service.name,
            version=self.service.version,
            uptime_seconds=int(self.uptime()),
            starting=view.starting,
            draining=view.draining,
            checks=self.records(*list(self.rooms.board.states)),
            performance=self._performance(now),
            alerts=[],
            summary=self.rooms.board.summary(),
            score=round(view.score, 2),
            slo={},
            groups=dict(self.rooms.board.groups()),
            config=self.config,
            agent={
                "version": __version__,
                "running": dict(self.rooms.scheduler.running),
                "waiting": self.rooms.scheduler.waiting,
                "threads_blocked": list(self.rooms.threads.blocked_owners),
                "loop_blocked": self.rooms.watchdog.records(),
                "not_exported": dict(self.rooms.telemetry.instruments.refusals),
                "receiver": self.receiver.record() if self.receiver else None,
                "export": self.rooms.telemetry.export_record(),
                **({"worker": self.rooms.worker.told()} if self.rooms.worker else {}),
            },
        )

    def group(self, name: str) -> GroupReport:
        checks = {member: self._member(member) for member in self.rooms.board.members(name)}
        ready = self.rooms.board.holds(name) and not self.rooms.board.view().draining
        return GroupReport(status="ready" if ready else "unready", checks=checks)

    def alive(self) -> bool:
        """False only while an in-process check of the group `live` fails, where it is this process that it looks at."""
        board = self.rooms.board
        failed = any(board.states[name].status is Status.FAIL for name in board.members(LIVE))
        return not failed or self.rooms.leader is not None

    def record(self, name: str) -> CheckRecord | None:
        return self.rooms.board.record(name, self.rooms.clock.time(), running=self.rooms.scheduler.is_running(name))

    def records(self, *names: str) -> dict[str, CheckRecord]:
        """Those of these names that there are."""
        found = ((name, self.record(name)) for name in names)
        return {name: record for name, record in found if record is not None}

    def history(self, name: str, since: float, limit: int) -> Awaitable[History]:
        if (leader := self.rooms.leader) is not None:
            return leader.history(name, since, limit)
        return self.rooms.store.history(name, since, limit)

    def run_checks(self, *names: str) -> Awaitable[Mapping[str, CheckRecord]]:
        if (leader := self.rooms.leader) is not None:
            return leader.run(names, metered=True)
        self._throttle.take()
        return self.run_now(*names)

    async def exposition(self) -> Exposition:
        telemetry, worker = self.rooms.telemetry, self.rooms.worker
        own = Exposition([telemetry.resource], list(telemetry.families()))
        return own if worker is None else await worker.exposition(own)

    def _member(self, name: str) -> GroupCheck:
        if self.rooms.board.view().draining:
            return GroupCheck(status="unready", error="the service is shutting down")
        state = self.rooms.board.states[name]
        if state.status in GOOD:
            return GroupCheck(status="ready", error=None)
        return GroupCheck(status="unready", error=state.message(self.rooms.clock.time()) or "no run has finished yet")

    def _performance(self, now: float) -> Performance:
        times, rates, requests, source = self.rooms.telemetry.windows.performance(now)
        host = self.rooms.host
        return Performance(
            cpu_usage_percent=host.cpu_usage_percent,
            memory_usage_mb=host.memory_usage_mb,
            memory_usage_percent=host.memory_usage_percent,
            disk_usage_percent=host.disk_usage_percent,
            disk_mount=host.disk_mount,
            network_connections=host.network_connections,
            scope=host.scope,
            response_times=times,
            error_rates=rates,
            requests=requests,
            source=source,
        )
