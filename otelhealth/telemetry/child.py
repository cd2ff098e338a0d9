"""The figures of the service below `otelhealth exec`, under its own `service.instance.id`."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping

from otelhealth.clock import Clock
from otelhealth.model import Attributes, Child, MetricFamily, ServiceProcess, Usage
from otelhealth.telemetry import names
from otelhealth.telemetry.encode import encode
from otelhealth.telemetry.metric import Metric
from otelhealth.telemetry.resource import INSTANCE_ID
from otelhealth.telemetry.series import Number, Table
from otelhealth.telemetry.wire import Envelope
from otelhealth.version import __version__


class ChildFigures:
    """Reads the processes when asked for them; `exited` is told of each end."""

    def __init__(self, child: Child, resource: Mapping[str, str], clock: Clock) -> None:
        self._child = child
        self._clock = clock
        self._instance = (INSTANCE_ID, resource[INSTANCE_ID])
        self._envelope = Envelope(resource, names.SCOPE, __version__)
        self._tables = {metric.name: Table(metric) for metric in names.OF_A_CHILD}
        self._lock = threading.Lock()  # the export's thread and that of `/metrics`
        self._before: Usage | None = None
        self._share = 0.0

    def exited(self, code: int) -> None:
        self._number(names.PROCESS_EXITS, ((names.EXIT_CODE, str(code)),)).value += 1

    def requests(self, now: int) -> Iterator[tuple[bytes, int]]:
        """Export requests, each with its number of points; `now` in ns since the epoch."""
        self._take(self._child.usage())
        yield from encode(self._tables.values(), self._envelope, now)

    def families(self) -> Iterator[MetricFamily]:
        """As last looked at, told apart from the agent's own by the instance."""
        self._take(self._child.latest)
        families = (table.family(self._instance) for table in self._tables.values())
        yield from (family for family in families if family.points)

    def _take(self, usage: Usage | None) -> None:
        with self._lock:
            self._set(self._child.process, usage)

    def _set(self, process: ServiceProcess, usage: Usage | None) -> None:
        self._number(names.PROCESS_RESTARTS).value = process.restarts
        self._number(names.PROCESS_COUNT).value = usage.processes if usage else 0
        if usage is None:  # a process that is not there has no memory, not 0 bytes of it
            for metric in (names.PROCESS_MEMORY, names.PROCESS_THREADS, names.PROCESS_FDS, names.PROCESS_UPTIME):
                self._tables[metric.name].series.clear()
            return
        modes = {"user": usage.user, "system": usage.system}
        for mode, seconds in modes.items():
            self._number(names.PROCESS_CPU, ((names.CPU_MODE, mode),)).value = seconds
        self._number(names.PROCESS_UTILIZATION).value = self._utilization(usage)
        self._number(names.PROCESS_MEMORY).value = usage.rss
        self._number(names.PROCESS_THREADS).value = usage.threads
        self._number(names.PROCESS_UPTIME).value = max(0.0, self._clock.time() - process.started)
        if usage.fds is not None:
            self._number(names.PROCESS_FDS).value = usage.fds

    def _utilization(self, usage: Usage) -> float:
        """Between the last two readings; one that is told twice says the same twice."""
        before, used = self._before, usage.user + usage.system
        if before is None:
            self._before = usage
        elif usage.at > before.at:
            share = (used - before.user - before.system) / (usage.at - before.at) / (os.cpu_count() or 1)
            self._before, self._share = usage, min(1.0, share)
        return self._share

    def _number(self, metric: Metric, attributes: Attributes = ()) -> Number:
        return self._tables[metric.name].number(attributes, self._clock.time())
