"""A real supervisor in a process of its own, with the companion of beside.py; and as a program: that process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from otelhealth.supervise.companion import Companion
from otelhealth.supervise.supervisor import Supervisor
from tests.supervise.running import ROOT, Running
from tests.waiting import eventually

BESIDE = Path(__file__).with_name("beside.py")


class Supervised(Running):
    """`command` below a supervisor. `before` stands in front of it all, such as `unshare`."""

    ended_by = signal.SIGKILL

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
        super().__init__(subprocess.Popen([*before, *own, *command], cwd=ROOT, **{**streams, **popen}))

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

    def end(self, timeout: float = 20) -> tuple[int, str, str]:
        """Exit code, output, errors."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err


def python(code: str) -> list[str]:
    return [sys.executable, "-u", "-c", code]


def main(settings: str, told: str, *command: str) -> int:
    def companion(number: int, again: Sequence[str]) -> Sequence[str]:
        return [sys.executable, str(BESIDE), str(number), settings, told, *again]

    return Supervisor(command, os.environ, Companion(companion)).run()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
