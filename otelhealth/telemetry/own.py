"""The agent's own process: read by the export thread, where a few system calls disturb nobody."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from otelhealth.clock import Clock
from otelhealth.telemetry import names, runtime
from otelhealth.telemetry.instruments import Instruments

if TYPE_CHECKING:
    import psutil


class OwnProcess:
    """Sets the `process.*` and `cpython.*` figures of this process."""

    def __init__(self, instruments: Instruments, clock: Clock) -> None:
        self._instruments = instruments
        self._clock = clock
        self._process: psutil.Process | None = None

    def refresh(self) -> None:
        import psutil  # noqa: PLC0415 - 4 ms that nobody waits for at the start

        put = self._instruments.set
        process = self._process = self._process or psutil.Process()
        times = os.times()
        put(names.PROCESS_CPU, ((names.CPU_MODE, "user"),), times.user)
        put(names.PROCESS_CPU, ((names.CPU_MODE, "system"),), times.system)
        put(names.PROCESS_UPTIME, (), max(0.0, self._clock.time() - process.create_time()))
        put(names.PROCESS_THREADS, (), threading.active_count())
        for figure in runtime.collections():
            put(*figure)
        with suppress(psutil.Error):  # a system may refuse them, even of oneself
            put(names.PROCESS_MEMORY, (), process.memory_info().rss)
        with suppress(psutil.Error, OSError, AttributeError):  # AttributeError: Windows has none
            put(names.PROCESS_FDS, (), process.num_fds())
