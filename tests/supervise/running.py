"""A program that a test runs and talks to through its standard streams."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

ROOT = Path(__file__).parents[2]


class Running:
    """`process` ends with the block, by the signal `ended_by`."""

    ended_by: ClassVar[signal.Signals]

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.send_signal(self.ended_by)
        self.process.communicate(timeout=30)

    def line(self, within: float = 30.0) -> str:
        """The next line of its output; one that does not come ends it, so that nobody waits for ever."""
        assert self.process.stdout is not None
        patience = threading.Timer(within, self.process.kill)
        patience.start()
        try:
            return self.process.stdout.readline().strip()
        finally:
            patience.cancel()

    def enter(self) -> None:
        """A line for it to read."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()


def gone(pid: int) -> Callable[[], bool]:
    """Whether that process has ended; one that is not collected yet has."""

    def ended() -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        return stat.rpartition(")")[2].split()[0] == "Z"

    return ended
