"""What a check is: its settings, what a probe is given, and what it gives back."""

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar, get_args

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer
from pydantic import Field, field_validator

from otelhealth.checks.levels import DURATION, Levels
from otelhealth.clock import Clock
from otelhealth.cron import CronText, Zone
from otelhealth.errors import ProbeError, near
from otelhealth.model import CheckResult, Instrument, Measurement, Status, Surroundings, Threads
from otelhealth.settings import Settings
from otelhealth.units import Duration, Share

T = TypeVar("T")
Category = Literal["system", "service", "external"]
Tier = Literal[1, 2, 3, 4]
TIERS = get_args(Tier)
Interval = Annotated[Duration, Field(ge=0.1, le=366 * 86400)]
Timeout = Annotated[Duration, Field(gt=0, le=3600)]
Retries = Annotated[int, Field(ge=0, le=10)]
RetryDelay = Annotated[Duration, Field(le=600)]


class Quantity(NamedTuple):
    """A measurement that a kind declares, and the metric it leaves as.

    `metric` is the semantic convention's name where there is one, else `otelhealth.<kind>.<name>`; "" keeps it to the
    record and the levels, with no series. With `per_check`
    the series carries `otelhealth.check.name`; the host's own figures (`system.*`) do without. `counter` values are
    cumulative readings (of the kernel, of a server). `attributes` names the keys its measurements may carry.
    """

    name: str
    unit: str
    instrument: Instrument
    description: str
    metric: str
    attributes: tuple[str, ...] = ()
    per_check: bool = True


class Threshold(Settings):
    """When runs make a state."""

    max_response_time: Duration = Field(5.0, description="A passing run that took longer is `warn`.")
    max_failure_rate: Share = Field(
        0.1, description="Share of failed runs among the last 20 above which the state is `warn`, judged once 20 exist."
    )
    max_consecutive_failures: int = Field(3, ge=1, le=1000, description="Failures in a row that make the state `fail`.")
    rise: int = Field(1, ge=1, le=1000, description="Successes in a row that end a `fail`.")


_THRESHOLD = Threshold.by_default()  # shared: there may be 10,000 checks


class Context:
    """What one attempt of a probe is given. `memory` belongs to the check and outlives the run."""

    __slots__ = (
        "_lines",
        "clock",
        "deadline",
        "error",
        "memory",
        "name",
        "propagate",
        "span",
        "surroundings",
        "threads",
        "tracer",
    )

    def __init__(  # noqa: PLR0913 - built in one place, the runner
        self,
        name: str,
        *,
        clock: Clock,
        deadline: float,
        memory: MutableMapping[str, Any],
        threads: Threads,
        surroundings: Surroundings,
        tracer: Tracer,
        span: Span,
        propagate: bool = True,
    ) -> None:
        self.name = name
        self.clock = clock
        self.deadline = deadline  # of clock.monotonic()
        self.memory = memory
        self.threads = threads
        self.surroundings = surroundings
        self.tracer = tracer
        self.span = span
        self.propagate = propagate
        self.error: BaseException | None = None  # what the probe raised and should not have, or raised from it
        self._lines: list[str] | None = None

    @property
    def lines(self) -> tuple[str, ...]:
        return tuple(self._lines or ())

    def remaining(self) -> float:
        """Seconds until this attempt's deadline, never below 0."""
        return max(0.0, self.deadline - self.clock.monotonic())

    def log(self, line: str) -> None:
        """Keep a line (no secrets) with the result; the first 100 are kept."""
        if self._lines is None:
            self._lines = []
        if len(self._lines) < 100:
            self._lines.append(line[:500])

    async def in_thread(self, function: Callable[[], T]) -> T:
        """`function()` in the bounded pool for sync code."""
        return await self.threads.run(self.name, function)

    @contextmanager
    def client_span(self, name: str, attributes: Mapping[str, Any]) -> Iterator[Span]:
        """The CLIENT span of this attempt, by the protocol's own conventions.

        A ProbeError (or a cancellation by the deadline) inside marks it ERROR with its `error.type`.
        """
        span = self.tracer.start_span(
            name, context=trace.set_span_in_context(self.span), kind=SpanKind.CLIENT, attributes=attributes
        )
        try:
            yield span
        except BaseException as error:
            kind = error.error_type if isinstance(error, ProbeError) else type(error).__name__
            mark_failed(span, "timeout" if kind == "CancelledError" else kind)
            raise
        finally:
            span.end()

    def traceparent(self, span: Span) -> str | None:
        """The W3C header that continues the trace in the target; None where there is no trace or it is turned off."""
        context = span.get_span_context()
        if not self.propagate or not context.is_valid:
            return None
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def mark_failed(span: Span, error_type: str) -> None:
    """As the semantic conventions have it."""
    span.set_attribute("error.type", error_type)
    span.set_status(StatusCode.ERROR)


class Check(Settings):
    """One configured check. A kind subclasses it with its own fields, its quantities and its `probe`."""

    quantities: ClassVar[tuple[Quantity, ...]] = ()
    default_levels: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    in_process: ClassVar[bool] = False  # looks only at this process and its host's kernel: may join the `live` group
    open_measurements: ClassVar[bool] = False  # a user's own query or code may add measurements to the declared ones
    requests: ClassVar[bool] = False  # its runs are requests whose latency and errors stand for the service's
    summary: ClassVar[str] = ""  # one line for `otelhealth kinds` and README

    kind: str
    name: str = Field(
        "", max_length=100, pattern=r"^([A-Za-z0-9][A-Za-z0-9._-]*)?$", description="The key under `checks`."
    )
    enabled: bool = Field(True, description="A disabled check is shown as disabled, never run and never counted.")
    category: Category = Field("service", description="What it speaks of.")
    every: Interval = Field(30.0, description="Interval between starts.")
    cron: CronText | None = Field(None, description="Starts by a cron expression instead of `every`.")
    timezone: Zone = Field("UTC", description="IANA zone of `cron`.")
    timeout: Timeout = Field(10.0, description="Deadline of one attempt; may exceed `every`.")
    retries: Retries = Field(0, description="Further attempts when one fails.")
    retry_delay: RetryDelay = Field(1.0, description="Pause before each further attempt.")
    jitter: Share = Field(0.0, description="Share of `every` by which each start is moved at random.")
    grace: Duration | None = Field(
        None,
        description="No finished run within every + grace: `unknown`, stale. Default 2 x every, "
        "at least the longest that a run may take.",
    )
    tier: Tier = Field(2, description="1 is the most important: its failure makes the service critical.")
    groups: tuple[str, ...] = Field((), description="`live`, `ready`, `startup`, or own groups.")
    depends_on: tuple[str, ...] = Field((), description="Checks whose failure explains this one's.")
    tags: tuple[str, ...] = Field((), description="Free labels, shown and matched.")
    levels: Levels = Field(default_factory=dict, description="Ranges of a measurement that mean `warn` or `fail`.")
    threshold: Threshold = Field(default_factory=lambda: _THRESHOLD, description="When runs make a state.")
    peer: str | None = Field(
        None, max_length=200, description="`service.peer.name`: the other service this check speaks of."
    )
    propagate: bool = Field(True, description="Send `traceparent` to the target.")

    @property
    def longest_run(self) -> float:
        """Seconds that all attempts with their pauses may take."""
        return self.timeout * (self.retries + 1) + self.retry_delay * self.retries

    @field_validator("groups")
    @classmethod
    def _may_join(cls, groups: tuple[str, ...]) -> tuple[str, ...]:
        if "live" in groups and not cls.in_process:
            raise ValueError(f"kind {cls._kind()} looks outside the process and cannot join `live`; use `ready`")
        return groups

    @field_validator("levels")
    @classmethod
    def _fit(cls, levels: Levels) -> Levels:
        units = {quantity.name: quantity.unit for quantity in cls.quantities} | {DURATION: "s"}
        for measurement, level in levels.items():
            unit = units.get(measurement.partition("[")[0])
            if unit is None:
                if cls.quantities and not cls.open_measurements:
                    remedy = near(measurement, units, f"it has {', '.join(sorted(units))}")
                    raise ValueError(f"{measurement}: {cls._kind()} has no such measurement; {remedy}")
            elif text := level.strange_unit(unit):
                told = f"is counted in {unit}" if unit else "has no unit"
                raise ValueError(f"{measurement}: it {told}, not as in {text!r}; write a plain number")
        return levels

    @classmethod
    def _kind(cls) -> str:
        return str(cls.model_fields["kind"].default)

    async def probe(self, ctx: Context) -> CheckResult:
        """One attempt. What the target reports, refuses or times out on is `fail` (returned, or a ProbeError);
        any other exception is `unknown`. Cancellation at the deadline must close what was opened."""
        raise NotImplementedError


def passed(message: str, *measurements: Measurement, details: Mapping[str, Any] | None = None) -> CheckResult:
    """A run that saw what it wanted."""
    return CheckResult(Status.PASS, message, None, measurements, details or {})


def warned(
    error_type: str, message: str, *measurements: Measurement, details: Mapping[str, Any] | None = None
) -> CheckResult:
    """A run that saw something to look at."""
    return CheckResult(Status.WARN, message, error_type, measurements, details or {})


def failed(
    error_type: str, message: str, *measurements: Measurement, details: Mapping[str, Any] | None = None
) -> CheckResult:
    """A run that saw the target fail."""
    return CheckResult(Status.FAIL, message, error_type, measurements, details or {})
