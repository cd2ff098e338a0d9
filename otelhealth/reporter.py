"""What the server asks of the agent (`model.Served`), told from what board, telemetry and store know already."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from otelhealth.config.root import Config
from otelhealth.engine.throttle import Throttle
from otelhealth.model import GOOD, Exposition, Status
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
from otelhealth.rounds import Rounds
from otelhealth.version import __version__

if TYPE_CHECKING:
    from otelhealth.server.receiver import Receiver

LIVE = "live"


class Reporter:
    """From memory and at once, but for what can be awaited. What only the process that runs the checks can tell is
    asked of it."""

    def __init__(
        self,
        settings: Config,
        rounds: Rounds,
        run_now: Callable[..., Awaitable[Mapping[str, CheckRecord]]],
        config: ConfigRecord,
        receiver: Receiver | None = None,
    ) -> None:
        self._service = settings.service
        self._rounds = rounds
        self._run_now = run_now
        self._config = config
        self._receiver = receiver
        self._throttle = Throttle(settings.server.limits.runs_per_minute, rounds.clock)
        self._started = rounds.clock.monotonic()

    def revision(self) -> int:
        return self._rounds.board.revision

    def uptime(self) -> float:
        """Seconds."""
        return self._rounds.clock.monotonic() - self._started

    def brief(self) -> BriefReport:
        view = self._rounds.board.view()
        report = BriefReport(
            status=view.status.value,
            timestamp=int(self._rounds.clock.time()),
            uptime_seconds=int(self.uptime()),
            service=self._service.name,
            version=self._service.version,
        )
        if view.starting:
            report["starting"] = True
        if view.draining:
            report["draining"] = True
        return report

    def report(self) -> HealthReport:
        rounds = self._rounds
        now, view = rounds.clock.time(), rounds.board.view()
        return HealthReport(
            status=view.status.value,
            timestamp=int(now),
            service=self._service.name,
            version=self._service.version,
            uptime_seconds=int(self.uptime()),
            starting=view.starting,
            draining=view.draining,
            checks=self.records(*list(rounds.board.states)),
            performance=self._performance(now),
            alerts=[],
            summary=rounds.board.summary(),
            score=round(view.score, 2),
            slo={},
            groups=dict(rounds.board.groups()),
            config=self._config,
            agent={
                "version": __version__,
                "running": dict(rounds.scheduler.running),
                "waiting": rounds.scheduler.waiting,
                "threads_blocked": list(rounds.threads.blocked_owners),
                "loop_blocked": rounds.watchdog.records(),
                "not_exported": dict(rounds.telemetry.instruments.refusals),
                "receiver": self._receiver.record() if self._receiver else None,
                "export": rounds.telemetry.export_record(),
                "store": rounds.store.record(),
                **({"worker": rounds.worker.told()} if rounds.worker else {}),
            },
        )

    def group(self, name: str) -> GroupReport:
        checks = {member: self._member(member) for member in self._rounds.board.members(name)}
        ready = self._rounds.board.holds(name) and not self._rounds.board.view().draining
        return GroupReport(status="ready" if ready else "unready", checks=checks)

    def alive(self) -> bool:
        """False only while an in-process check of the group `live` fails, where it is this process that it looks at."""
        board = self._rounds.board
        failed = any(board.states[name].status is Status.FAIL for name in board.members(LIVE))
        return not failed or self._rounds.leader is not None

    def record(self, name: str) -> CheckRecord | None:
        rounds = self._rounds
        return rounds.board.record(name, rounds.clock.time(), running=rounds.scheduler.is_running(name))

    def records(self, *names: str) -> dict[str, CheckRecord]:
        """Those of these names that there are."""
        found = ((name, self.record(name)) for name in names)
        return {name: record for name, record in found if record is not None}

    def history(self, name: str, since: float, limit: int) -> Awaitable[History]:
        if (leader := self._rounds.leader) is not None:
            return leader.history(name, since, limit)
        return self._rounds.store.history(name, since, limit)

    def run_checks(self, *names: str) -> Awaitable[Mapping[str, CheckRecord]]:
        if (leader := self._rounds.leader) is not None:
            return leader.run(names, metered=True)
        self._throttle.take()
        return self._run_now(*names)

    async def exposition(self) -> Exposition:
        telemetry, worker = self._rounds.telemetry, self._rounds.worker
        own = Exposition([telemetry.resource], list(telemetry.families()))
        return own if worker is None else await worker.exposition(own)

    def _member(self, name: str) -> GroupCheck:
        if self._rounds.board.view().draining:
            return GroupCheck(status="unready", error="the service is shutting down")
        state = self._rounds.board.states[name]
        if state.status in GOOD:
            return GroupCheck(status="ready", error=None)
        return GroupCheck(status="unready", error=state.message(self._rounds.clock.time()) or "no run has finished yet")

    def _performance(self, now: float) -> Performance:
        times, rates, requests, source = self._rounds.telemetry.windows.performance(now)
        host = self._rounds.host
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
