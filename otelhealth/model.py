"""The words all rooms share: results, states, metrics, and what a lower floor may ask of a higher one. No behaviour."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, TypeVar

from otelhealth.records import BriefReport, CheckRecord, ExportRecord, GroupReport, HealthReport, History

T = TypeVar("T")
Attributes = tuple[tuple[str, str], ...]
Instrument = Literal["gauge", "counter", "updowncounter", "histogram"]
NO_DETAILS: Mapping[str, Any] = MappingProxyType({})


class Status(StrEnum):
    """Of a run (`last_result`) and, debounced, of a check (`status`)."""

    PASS = "pass"  # noqa: S105 - the word of the format, no password
    WARN = "warn"
    FAIL = "fail"
    UNKNOWN = "unknown"


GOOD = (Status.PASS, Status.WARN)  # what counts as a success


class ServiceStatus(StrEnum):
    """Of the whole service, best first."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"
    CRITICAL = "critical"


class Measurement(NamedTuple):
    """A number with its unit (UCUM: `s`, `By`, `1` for a share 0..1, `{thing}` for a count).

    `name` is that of a Quantity its kind declares; `attributes` tell several of one name apart (a mount, a cpu mode).
    """

    name: str
    value: float
    unit: str
    attributes: Attributes = ()
    status: Status = Status.PASS
    label: str = ""  # the name in a record, where the attributes do not tell several apart

    @property
    def key(self) -> str:
        """The name in a record: `utilization`, or `utilization[/var]` where attributes tell several apart."""
        if self.label:
            return self.label
        return f"{self.name}[{','.join(value for _, value in self.attributes)}]" if self.attributes else self.name


class CheckResult(NamedTuple):
    """One run. A probe gives the first half; the runner completes it."""

    status: Status
    message: str = ""
    error_type: str | None = None  # of low cardinality, such as `timeout` or `503`; None on pass
    measurements: tuple[Measurement, ...] = ()
    details: Mapping[str, Any] = NO_DETAILS  # JSON-able, redacted by the kind

    name: str = ""
    started: float = 0.0  # Unix seconds
    duration: float = 0.0  # seconds of the last attempt
    attempts: int = 1
    trace_id: str = ""  # 32 hex digits, or "" where nothing is traced
    span_id: str = ""
    log: tuple[str, ...] = ()


class StateChange(NamedTuple):
    """A check's debounced state moved: `since` when the first run showed it (the true time), decided `at`."""

    name: str
    previous: Status
    status: Status
    since: float  # Unix seconds
    at: float  # Unix seconds
    message: str = ""
    error_type: str | None = None
    trace_id: str = ""
    span_id: str = ""


class Exemplar(NamedTuple):
    value: float
    time: float  # Unix seconds
    trace_id: str
    span_id: str


class HistogramValue(NamedTuple):
    """`counts` (not cumulative) has one more item than `bounds` (upper, ascending): those above all bounds."""

    bounds: Sequence[float]
    counts: Sequence[int]
    sum: float
    exemplars: Sequence[Exemplar] = ()


class MetricPoint(NamedTuple):
    attributes: Attributes
    value: float | HistogramValue


class MetricFamily(NamedTuple):
    """One metric with its current points, as `/metrics` renders it: OTel name and unit, cumulative values."""

    name: str
    unit: str
    type: Instrument
    description: str
    points: Sequence[MetricPoint]


class Exposition(NamedTuple):
    """All that `/metrics` tells. Of several processes each point names its `service.instance.id`."""

    resources: Sequence[Mapping[str, str]]  # one of each process
    families: Sequence[MetricFamily]


class Threads(Protocol):
    """The bounded pool in which sync code of checks runs. No check holds two threads."""

    async def run(self, owner: str, function: Callable[[], T]) -> T:
        """`function()` in a thread on behalf of the check `owner`; raises ThreadsBlockedError when none can be had."""
        ...


class ExportPath(NamedTuple):
    """Where telemetry goes: what the otlp kind checks. `headers` hold credentials and are never shown."""

    endpoint: str
    headers: Mapping[str, str]
    protocol: str
    instance: str = ""  # the service.instance.id of what is sent there


class ServiceProcess(NamedTuple):
    """The command that `otelhealth exec` runs, as its supervisor tells it."""

    state: Literal["starting", "running", "stopping", "restarting", "exited"] = "starting"
    command: str = ""
    pid: int | None = None  # while it runs
    group: int | None = None  # the process group that is its own
    started: float = 0.0  # Unix seconds
    restarts: int = 0
    exit_code: int | None = None  # of its last end; 128 + n for signal n
    asked: bool = False  # to end, by a signal or at the terminal


class Usage(NamedTuple):
    """Of a process with all below it; `user` and `system` in seconds, of those that have ended too; `rss` in bytes."""

    processes: int
    user: float
    system: float
    rss: int
    threads: int
    fds: int | None  # None where this user may not look
    at: float = 0.0  # monotonic seconds


class Child(Protocol):
    """The service that runs below `otelhealth exec`, beside the agent."""

    @property
    def process(self) -> ServiceProcess: ...

    @property
    def latest(self) -> Usage | None:
        """What it used when it was last looked at."""
        ...

    def usage(self) -> Usage | None:
        """What it uses now; None while it does not run. Reads /proc: call it in a thread."""
        ...


class Surroundings(NamedTuple):
    """What a probe may know of the agent around it; `export_record` tells what waits to be delivered there."""

    export_path: ExportPath | None = None
    export_record: Callable[[], ExportRecord | None] = lambda: None
    child: Child | None = None


class Served(Protocol):
    """What the server asks of the agent. What cannot be awaited answers from memory, at once."""

    def revision(self) -> int:
        """Grows whenever an answer of `brief` or `group`, other than its times, may have changed."""
        ...

    def brief(self) -> BriefReport: ...

    def report(self) -> HealthReport: ...

    def group(self, name: str) -> GroupReport: ...

    def alive(self) -> bool:
        """Whether the `live` group's in-process checks hold and the process works."""
        ...

    def uptime(self) -> float: ...

    def record(self, name: str) -> CheckRecord | None: ...

    def history(self, name: str, since: float, limit: int) -> Awaitable[History]: ...

    def run_checks(self, *names: str) -> Awaitable[Mapping[str, CheckRecord]]:
        """Run now, judged like any run; raises TooOftenError, or OtelHealthError where nobody can run them."""
        ...

    def exposition(self) -> Awaitable[Exposition]: ...
