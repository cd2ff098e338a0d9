"""The command as a child: its life from one start to the next, and how it is told from outside."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from otelhealth.supervise.signals import ENDING
from otelhealth.supervise.spawn import Manner, spawn
from otelhealth.supervise.tree import below, send


class Service:
    """`shared`: it lives in this process's group, so that a terminal's keys reach both; else in a group of its own."""

    def __init__(self, command: Sequence[str], *, shared: bool) -> None:
        self.command = command
        self.name = os.path.basename(command[0])  # noqa: PTH119 - a command is no path
        self.shared = shared
        self.code: int | None = None  # with which it ended last
        self.starts = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0  # Unix seconds
        self._since = 0.0  # monotonic seconds

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._process.pid if self._process else None

    def start(self, environ: Mapping[str, str], mask: set[int]) -> None:
        """Raises CannotRunError."""
        self._process = spawn(self.command, environ, mask, Manner("no" if self.shared else "group"))
        self._started, self._since = time.time(), time.monotonic()
        self.starts += 1

    def ended(self, code: int) -> float:
        """It ended with `code`; the seconds that it ran."""
        if self._process is not None:
            self._process.returncode = code  # collected by another waitpid than its own
        self._process, self.code = None, code
        return time.monotonic() - self._since

    def send(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)
                if number in ENDING:  # one that is stopped takes no signal before it goes on
                    os.kill(self._process.pid, signal.SIGCONT)

    def kill(self, spared: int | None) -> None:
        """SIGKILL to it and all below this process but `spared` with its own."""
        if self._process is not None and not self.shared:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self.send(signal.SIGKILL)
        send(below(spared), signal.SIGKILL)

    def record(self, state: str, *, asked: bool) -> dict[str, Any]:
        """All that another process is told of it."""
        return {
            "state": state,
            "command": self.name,
            "pid": self.pid,
            "group": self.pid if not self.shared else None,
            "started": self._started,
            "restarts": max(0, self.starts - 1),
            "exit_code": self.code,
            "asked": asked,
        }
