"""`otelhealth exec` as a process of its own, and what is asked of the agent in it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.supervise.running import Running
from tests.waiting import eventually

OTELHEALTH = str(Path(sys.executable).with_name("otelhealth"))


def environment(folder: Path, **more: str) -> dict[str, str]:
    """This process's without what would configure an agent; its state lies in `folder`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("OTEL", "HC_"))}
    own = {"XDG_STATE_HOME": str(folder), "OTELHEALTH_SERVER__LISTEN": "127.0.0.1:0", "PYTHONUNBUFFERED": "1"}
    return kept | own | more


class Executed(Running):
    """`command` with an agent beside it; its stderr is kept in a file."""

    ended_by = signal.SIGTERM

    def __init__(self, folder: Path, command: Sequence[str], options: Sequence[str] = (), **environ: str) -> None:
        self._said = folder / "stderr"
        program = environ.pop("program", OTELHEALTH)
        with self._said.open("wb") as said:
            super().__init__(
                subprocess.Popen(
                    [program, "exec", *options, "--", *command],
                    cwd=folder,
                    env=environment(folder, **environ),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=said,
                    text=True,
                )
            )

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if error is not None:
            error.add_note(f"its stderr:\n{self.said()}")

    def said(self) -> str:
        return self._said.read_text(errors="replace")

    def until_said(self, pattern: str, within: float = 30.0) -> re.Match[str]:
        """The first match in what is on stderr."""
        found = eventually(lambda: re.search(pattern, self.said()) or self.process.poll() is not None, within)
        assert isinstance(found, re.Match), f"ended without {pattern!r}: {self.said()}"
        return found

    @property
    def url(self) -> str:
        return self.until_said(r"answers +(http://\S+)/health,")[1]

    def get(self, path: str) -> Any:
        """The JSON that the agent answers, whatever its status code."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return json.loads(error.read())

    def status(self, path: str) -> int:
        """The status code of the agent's answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                return error.code

    def code(self, timeout: float = 30) -> int:
        return self.process.wait(timeout=timeout)
