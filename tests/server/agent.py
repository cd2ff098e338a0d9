"""What the server asks of an agent, answered from plain values that a test sets; and that server on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from otelhealth.address import Address
from otelhealth.clock import SYSTEM, Clock
from otelhealth.errors import OtelHealthError
from otelhealth.model import Exposition, MetricFamily, ServiceStatus, Status
from otelhealth.records import BriefReport, CheckRecord, GroupReport, HealthReport, History
from otelhealth.server.app import create_app
from otelhealth.server.serve import Server
from otelhealth.server.settings import ServerSettings

TOKEN = "0123456789abcdef"


def record(name: str, status: Status = Status.PASS, *, enabled: bool = True) -> CheckRecord:
    return {
        "name": name,
        "kind": "tcp",
        "category": "service",
        "tier": 2,
        "enabled": enabled,
        "status": status.value,
        "last_result": status.value,
        "message": "connected",
        "duration_ms": 12,
        "last_success": 1_700_000_000,
        "last_failure": None,
        "last_run": 1_700_000_000,
        "failure_count": 0,
        "threshold": {"max_response_time_ms": 5000, "max_failure_rate": 0.1, "max_consecutive_failures": 3},
        "since": 1_699_999_000,
        "measurements": {"connect": {"value": 0.002, "unit": "s", "status": "pass"}},
        "details": {},
        "error_type": None if status is Status.PASS else "timeout",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "seconds_since_last": 1.5,
        "success_rate_7d": 1.0,
        "avg_response_time_1h": 0.01,
        "error_count_24h": 0,
        "flapping": False,
        "stale": False,
        "running": False,
        "maintenance": False,
        "explained_by": None,
        "groups": ["ready"],
        "tags": [],
        "log": [],
    }


class StandIn:
    """Implements `model.Served`."""

    def __init__(self, *names: str, clock: Clock = SYSTEM) -> None:
        self.clock = clock
        self.status = ServiceStatus.HEALTHY
        self.starting = False
        self.draining = False
        self.living = True
        self.changes = 0
        self.records = {name: record(name) for name in names}
        self.metrics: list[MetricFamily] = []
        self.ran: list[str] = []
        self.refusal: OtelHealthError | None = None

    def change(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self, name, value)
        self.changes += 1

    def revision(self) -> int:
        return self.changes

    def brief(self) -> BriefReport:
        brief: BriefReport = {
            "status": self.status.value,
            "timestamp": int(self.clock.time()),
            "uptime_seconds": 42,
            "service": "shop",
            "version": "1.4.2",
        }
        if self.starting:
            brief["starting"] = True
        if self.draining:
            brief["draining"] = True
        return brief

    def report(self) -> HealthReport:
        return {
            "status": self.status.value,
            "timestamp": int(self.clock.time()),
            "service": "shop",
            "version": "1.4.2",
            "uptime_seconds": 42,
            "starting": self.starting,
            "draining": self.draining,
            "checks": dict(self.records),
            "performance": {
                "cpu_usage_percent": 12.5,
                "memory_usage_mb": 812,
                "memory_usage_percent": 40.0,
                "disk_usage_percent": 61.0,
                "disk_mount": "/",
                "network_connections": 17,
                "scope": "host",
                "response_times": {"p50_ms": 0.0, "p95_ms": 0.0, "p99_ms": 0.0, "average_ms": 0.0},
                "error_rates": {"rate_1min": 0.0, "rate_5min": 0.0, "rate_15min": 0.0, "total_errors_24h": 0},
                "requests": 0,
                "source": None,
            },
            "alerts": [],
            "summary": {"healthy": len(self.records), "total": len(self.records), "errors": []},
            "score": 100.0,
            "slo": {},
            "groups": {"ready": True},
            "config": {"file": None, "loaded": 1_700_000_000, "reloads": 0, "error": None, "restart_needed": []},
        }

    def group(self, name: str) -> GroupReport:
        bad = [check for check, item in self.records.items() if item["status"] in ("fail", "unknown")]
        ready = not bad and not self.draining
        return {
            "status": "ready" if ready else "unready",
            "checks": {
                check: {"status": "unready", "error": f"{name}: timed out"}
                if check in bad
                else {"status": "ready", "error": None}
                for check in self.records
            },
        }

    def alive(self) -> bool:
        return self.living

    def uptime(self) -> float:
        return 42.0

    def record(self, name: str) -> CheckRecord | None:
        return self.records.get(name)

    async def history(self, name: str, since: float, limit: int) -> History:
        runs = [
            {
                "started": 1_700_000_000.25 + number,
                "status": "pass",
                "duration_ms": 12,
                "message": "connected",
                "error_type": None,
                "trace_id": "",
            }
            for number in range(500)
        ]
        kept: Any = [run for run in runs if float(str(run["started"])) >= since][-limit:]
        change: Any = {"at": 1.0, "since": 1.0, "previous": "unknown", "status": "pass", "message": "connected"}
        return {"name": name, "runs": kept, "changes": [change]}

    async def run_checks(self, *names: str) -> Mapping[str, CheckRecord]:
        if self.refusal is not None:
            raise self.refusal
        self.ran += names
        return {name: self.records[name] for name in names}

    async def exposition(self) -> Exposition:
        resource = {"service.name": "shop", "service.instance.id": "627cc493", "host.name": 'db"1'}
        return Exposition([resource], self.metrics)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Plain:
    """A plain HTTP/1.1 client on a socket of its own for each request: nothing is made nicer on the way."""

    address: Address

    async def send(self, *pieces: bytes, eof: bool = False) -> bytes:
        """All that comes back until the server closes, while the pieces are written one by one."""
        reader, writer = await asyncio.open_connection(self.address.host, self.address.port)
        reading = asyncio.ensure_future(_all(reader))
        with suppress(ConnectionError):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            if eof:
                writer.write_eof()
        try:
            return await reading
        finally:
            writer.close()

    async def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
        """One request; header names are written with `_` for `-`."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        fields = {"host": str(self.address), "connection": "close"} | named
        if body:
            fields["content-length"] = str(len(body))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return parse(await self.send(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body))


@dataclass
class Client(Plain):
    """Of the server with what it serves."""

    served: StandIn
    server: Server


async def _all(reader: asyncio.StreamReader) -> bytes:
    whole = b""
    with suppress(ConnectionError):
        while piece := await reader.read(65_536):
            whole += piece
    return whole


def parse(raw: bytes) -> Reply:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = _joined(body)
    return Reply(int(first.split(" ")[1]), headers, body)


def _joined(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        whole, body = whole + body[: int(size, 16)], body[int(size, 16) + 2 :]
    return whole


def settings(**values: Any) -> ServerSettings:
    return ServerSettings.model_validate({"listen": "127.0.0.1:0"} | values)


@asynccontextmanager
async def serving(
    *names: str, served: StandIn | None = None, clock: Clock = SYSTEM, **values: Any
) -> AsyncIterator[Client]:
    """A real server on a free port, with the settings given."""
    served = served or StandIn(*names, clock=clock)
    chosen = settings(**values)
    server = Server(create_app(served, chosen, clock), chosen)
    address = await server.start()
    try:
        yield Client(address, served, server)
    finally:
        await server.stop()
