"""The tables of all metrics, and the agent's own figures among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

from otelhealth.clock import Clock
from otelhealth.model import Attributes, MetricFamily, ServiceStatus
from otelhealth.telemetry import names, runtime
from otelhealth.telemetry.metric import Metric
from otelhealth.telemetry.series import Buckets, Number, Table

Received = Literal["forwarded", "discarded", "refused"]
Reloaded = Literal["accepted", "refused"]


class Figures:
    """What the agent says of itself and of the service. Written by the event loop, read by the export thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looks: list[Callable[[], None]] = []
        self._tables = {metric.name: Table(metric) for metric in (*names.METRICS, *runtime.METRICS)}
        self._prepare()

    def _prepare(self) -> None:
        """Series that exist from the start, so that a first event is an increase from 0."""
        for lane in ("fast", "slow", "thread"):
            self.set(names.RUNNING, ((names.LANE, lane),), 0)
        for outcome in ("accepted", "refused"):
            self.set(names.RELOADS, ((names.OUTCOME, outcome),), 0)
        self.set(names.THREADS_BLOCKED, (), 0)
        for generation in runtime.GENERATIONS:
            self._buckets(runtime.GC_PAUSE, generation)

    def service(self, status: ServiceStatus, score: float) -> None:
        """The service's state, and its score from 0 to 100 (it leaves as a ratio)."""
        for each in ServiceStatus:
            self.set(names.SERVICE_STATUS, ((names.SERVICE_STATE, each.value),), float(each is status))
        self.set(names.SERVICE_SCORE, (), score / 100)

    def scheduler_lag(self, lane: str, seconds: float) -> None:
        self._buckets(names.LAG, ((names.LANE, lane),)).record(seconds)

    def running(self, lane: str, count: int) -> None:
        """How many checks run now in `lane`."""
        self.set(names.RUNNING, ((names.LANE, lane),), count)

    def skipped(self, reason: str, runs: int = 1) -> None:
        """Runs that were due did not start; `reason` is one of a closed set, such as `overlap`."""
        self.count(names.SKIPPED, ((names.REASON, reason),), runs)

    def threads_blocked(self, count: int) -> None:
        self.set(names.THREADS_BLOCKED, (), count)

    def loop_lag(self, seconds: float) -> None:
        self._buckets(names.LOOP_LAG, ()).record(seconds)

    def gc_pause(self, generation: Attributes, seconds: float) -> None:
        self._buckets(runtime.GC_PAUSE, generation).record(seconds)

    def config_reload(self, outcome: Reloaded) -> None:
        self.count(names.RELOADS, ((names.OUTCOME, outcome),), 1)

    def received(self, signal: str | None, outcome: Received, error_type: str | None = None, requests: int = 1) -> None:
        """OTLP requests that came in; `signal` None where that could not be seen, `error_type` of refused ones."""
        told = ((names.SIGNAL, signal), (names.OUTCOME, outcome), (names.ERROR_TYPE, error_type))
        self.count(names.RECEIVED, tuple((key, value) for key, value in told if value is not None), requests)

    def count(self, metric: Metric, attributes: Attributes, amount: float) -> None:
        """Add to a counter of the agent's own, from any thread that is alone to write it."""
        self._number(metric, attributes, self._clock.time()).value += amount

    def set(self, metric: Metric, attributes: Attributes, value: float) -> None:
        """Set a figure of the agent's own."""
        self._number(metric, attributes, self._clock.time()).value = value

    def observe(self, look: Callable[[], None]) -> None:
        """Call `look` before each export and scrape, in their threads: it sets, from memory, what is, not happens."""
        self._looks.append(look)

    def tables(self) -> list[Table]:
        for look in self._looks:
            look()
        return list(self._tables.values())

    def families(self) -> Iterator[MetricFamily]:
        """All current series, as `/metrics` renders them."""
        yield from (family for table in self.tables() if table.series and (family := table.family()).points)

    def _number(self, metric: Metric, attributes: Attributes, now: float) -> Number:
        return self._tables[metric.name].number(attributes, now)

    def _buckets(self, metric: Metric, attributes: Attributes) -> Buckets:
        return self._tables[metric.name].buckets(attributes, self._clock.time())
