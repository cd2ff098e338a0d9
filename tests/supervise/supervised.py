"""A real supervisor in a process of its own, with the companion of beside.py; and as a program: that process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from otelhealth.supervise.companion import Companion
from otelhealth.supervise.supervisor import Supervisor
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
BESIDE = Path(__file__).with_name("beside.py")


class Supervised:
    """`command` below a supervisor. `before` stands in front of it all, such as `unshare`."""

    def __init__(
        self,
        folder: Path,
        command: Sequence[str],
        settings: Mapping[str, Any] | None = None,
        before: Sequence[str] = (),
        **popen: Any,
    ) -> None:
        self._told = folder / "told"
        own = [sys.executable, "-m", "tests.supervise.supervised", json.dumps(settings or {}), str(self._told)]
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "stdin": subprocess.PIPE, "text": True}
        self.process: subprocess.Popen[str] = subprocess.Popen(
            [*before, *own, *command], cwd=ROOT, **{**streams, **popen}
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=20)

    def told(self) -> list[dict[str, Any]]:
        """What the companion wrote down so far."""
        return [json.loads(line) for line in self._told.read_text().splitlines()] if self._told.exists() else []

    def states(self) -> list[str]:
        return [line["state"] for line in self.told() if "state" in line]

    def pid(self) -> int:
        """Of the command, as the companion was told last."""
        eventually(lambda: bool(self.states()))
        return int([line["pid"] for line in self.told() if line.get("pid")][-1])

    def companion(self) -> int:
        eventually(lambda: bool(self.told()))
        return int([line["companion"] for line in self.told() if "companion" in line][-1])

    def line(self) -> str:
        """The next line of the command's output."""
        return readline(self.process)

    def enter(self) -> None:
        """A line for the command to read."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()

    def end(self, timeout: float = 20) -> tuple[int, str, str]:
        """Exit code, output, errors."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err


def readline(process: subprocess.Popen[str], within: float = 30.0) -> str:
    """The next line of its output; one that does not come ends it, so that nobody waits for ever."""
    assert process.stdout is not None
    patience = threading.Timer(within, process.kill)
    patience.start()
    try:
        return process.stdout.readline().strip()
    finally:
        patience.cancel()


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


def gone(pid: int) -> Callable[[], bool]:
    """Whether that process has ended; one that is not collected yet has."""

    def ended() -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        return stat.rpartition(")")[2].split()[0] == "Z"

    return ended


def main(settings: str, told: str, *command: str) -> int:
    def companion(number: int, again: Sequence[str]) -> Sequence[str]:
        return [sys.executable, str(BESIDE), str(number), settings, told, *again]

    return Supervisor(command, os.environ, Companion(companion)).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
