"""The load program as a child: what it said last, and how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar, Self

import psutil

from tests.exec.executed import OTELHEALTH, environment
from tests.faults.load import COLLECT, Order
from tests.stack.places import BIN
from tests.supervise.running import ROOT
from tests.waiting import eventually

ENDS = 60.0  # s that an end may take at the most


class Program:
    """Started at once; `before` runs in the child."""

    command: ClassVar[Sequence[str]] = (sys.executable, "-m", "tests.faults.load")

    def __init__(self, order: Order, before: Callable[[], None] | None = None) -> None:
        self.order = order
        Path(order.folder).mkdir(parents=True, exist_ok=True)
        self.log = Path(order.folder) / f"{order.name}-{order.way}.log"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.command, json.dumps(asdict(order))],
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=ROOT,
                env=self.environment(),
                preexec_fn=before,  # noqa: PLW1509 - it makes one system call
                text=True,
            )
        self.said: dict[str, Any] = {"made": order.first, "collections": 0}
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def environment(self) -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def made(self) -> int:
        """Spans, and log records, so far."""
        return int(self.said["made"])

    def works(self) -> Self:
        """Once it makes spans."""
        eventually(lambda: self.made > self.order.first or self._process.poll() is not None, ENDS)
        assert self._process.poll() is None, self.text()
        return self

    def text(self) -> str:
        """What it logged."""
        return self.log.read_text()

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def kill(self) -> None:
        self._process.kill()
        self._end()

    def stop(self, within: float = ENDS) -> float:
        """Seconds from SIGTERM to its end; killed where that takes longer than `within`."""
        began = time.monotonic()
        self._process.terminate()
        try:
            self._process.wait(within)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._end()
        return time.monotonic() - began

    def _end(self) -> None:
        self._process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout:
            for line in self._process.stdout:
                if line.endswith("\n"):
                    self.said |= json.loads(line)


class ExecProgram(Program):
    """The same below `otelhealth exec`, with an agent beside it."""

    command = (OTELHEALTH, "exec", "--", *Program.command)

    def environment(self) -> dict[str, str]:
        return environment(
            Path(self.order.folder),
            OTEL_EXPORTER_OTLP_ENDPOINT=self.order.endpoint,
            OTEL_SERVICE_NAME=self.order.name,
            OTEL_METRIC_EXPORT_INTERVAL=str(COLLECT * 1000),
        )

    def stop(self, within: float = ENDS) -> float:
        """Seconds from the command's end to the end of all."""
        [command] = [process for process in psutil.Process(self.pid).children() if not _is_agent(process)]
        self.send(signal.SIGTERM)
        command.wait(within)
        began = time.monotonic()
        self._process.wait(within)
        self._end()
        return time.monotonic() - began

    def kill_agent(self) -> None:
        """That beside the command."""
        [agent] = filter(_is_agent, psutil.Process(self.pid).children())
        agent.kill()


def _is_agent(process: psutil.Process) -> bool:
    return "otelhealth.cli.beside" in process.cmdline()


class GoProgram(Program):
    """The same in Go, with the SDK of that language as it comes."""

    command = (str(BIN / "otel-go-load"),)
