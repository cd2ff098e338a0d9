"""What the agent answers, as JSON: the shapes that clients in typed languages decode, so int and float are meant."""

from typing import Any, Literal, NotRequired, TypedDict


class ThresholdRecord(TypedDict):
    max_response_time_ms: int
    max_failure_rate: float
    max_consecutive_failures: int


class MeasurementRecord(TypedDict):
    value: float
    unit: str
    status: str


class CheckRecord(TypedDict):
    """One check in `/health/detailed`."""

    name: str
    kind: str
    category: str
    tier: int
    enabled: bool
    status: str
    last_result: str
    message: str
    duration_ms: int
    last_success: int | None
    last_failure: int | None
    last_run: int | None
    failure_count: int
    threshold: ThresholdRecord
    since: int | None
    measurements: dict[str, MeasurementRecord]
    details: dict[str, Any]
    error_type: str | None
    trace_id: str
    seconds_since_last: float | None
    success_rate_7d: float | None
    avg_response_time_1h: float | None
    error_count_24h: int
    flapping: bool
    stale: bool
    running: bool
    maintenance: bool
    explained_by: str | None
    groups: list[str]
    tags: list[str]
    log: list[str]


class RunRecord(TypedDict):
    """One past run in `/health/checks/{name}/history`."""

    started: float
    status: str
    duration_ms: int
    message: str
    error_type: str | None
    trace_id: str


class ChangeRecord(TypedDict):
    """One past state change in `/health/checks/{name}/history`."""

    at: float
    since: float
    previous: str
    status: str
    message: str


class History(TypedDict):
    name: str
    runs: list[RunRecord]
    changes: list[ChangeRecord]


class ResponseTimes(TypedDict):
    p50_ms: float
    p95_ms: float
    p99_ms: float
    average_ms: float


class ErrorRates(TypedDict):
    rate_1min: float
    rate_5min: float
    rate_15min: float
    total_errors_24h: int


class Performance(TypedDict):
    """`performance` of the report; never null: without requests the figures are 0.0, `requests` 0 and `source` None."""

    cpu_usage_percent: float
    memory_usage_mb: int
    memory_usage_percent: float
    disk_usage_percent: float
    disk_mount: str
    network_connections: int
    scope: Literal["container", "host"]
    response_times: ResponseTimes
    error_rates: ErrorRates
    requests: int
    source: str | None


class Summary(TypedDict):
    healthy: int
    total: int
    errors: list[str]


class ConfigRecord(TypedDict):
    """Which configuration is in force, and why a newer one is not."""

    file: str | None
    loaded: int
    reloads: int
    error: str | None
    restart_needed: list[str]


class BlockRecord(TypedDict):
    """One of `agent.loop_blocked` of the report: `where` the event loop stood still, `since` then, for so long."""

    where: str
    check: str | None
    since: int  # Unix seconds
    seconds: float


class ReceiverRecord(TypedDict):
    """`agent.receiver` of the report: requests that were taken, by signal, and refused, by status."""

    address: str
    forwarded: list[str]
    requests: dict[str, int]
    refused: dict[str, int]


class SignalRecord(TypedDict):
    """One signal in the spool; `waiting`, `sent`, `retried`, `rejected`, `duplicate` are requests, `dropped` items."""

    status: Literal["delivering", "held"]
    waiting: int
    usage_bytes: int
    oldest_seconds: float
    sent: int
    retried: int
    rejected: int
    duplicate: int
    dropped: dict[str, int]
    error_type: str | None
    error: str | None
    since: int | None


class ExportRecord(TypedDict):
    """What waits to be delivered; `path` None: in memory. `problem` says why the disk cannot be used."""

    path: str | None
    problem: str | None
    usage_bytes: int
    limit_bytes: int
    signals: dict[str, SignalRecord]


class RenewalRecord(TypedDict):
    """That a file was begun anew while it was used: when (Unix seconds), and why."""

    at: int
    reason: str


class StoreRecord(TypedDict):
    """`agent.store` of the report: runs that wait to be written, and lost ones; `problem` says why it cannot write."""

    path: str
    waiting: int
    dropped: int
    problem: str | None
    renewed: RenewalRecord | None


class HealthReport(TypedDict):
    """`/health/detailed`."""

    status: str
    timestamp: int
    service: str
    version: str
    uptime_seconds: int
    starting: bool
    draining: bool
    checks: dict[str, CheckRecord]
    performance: Performance
    alerts: list[dict[str, Any]]
    summary: Summary
    score: float
    slo: dict[str, Any]
    groups: dict[str, bool]
    config: NotRequired[ConfigRecord]
    agent: NotRequired[dict[str, Any]]


class BriefReport(TypedDict):
    """`/health`."""

    status: str
    timestamp: int
    uptime_seconds: int
    service: str
    version: str
    starting: NotRequired[bool]
    draining: NotRequired[bool]


class LiveReport(TypedDict):
    """`/health/live`."""

    status: Literal["alive", "dead"]
    timestamp: int
    uptime_seconds: int


class GroupCheck(TypedDict):
    status: Literal["ready", "unready"]
    error: str | None


class GroupReport(TypedDict):
    """`/health/ready`, `/health/startup`."""

    status: Literal["ready", "unready"]
    checks: dict[str, GroupCheck]


class ErrorReport(TypedDict):
    """Any answer that refuses."""

    error: str
    remedy: str
