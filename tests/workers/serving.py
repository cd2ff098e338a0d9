"""The shop of `tests.workers.apps` under several workers of a real server, and what each of them answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from tests.inside.serving import ROOT
from tests.stack.server import Server
from tests.waiting import eventually

APP = "tests.workers.apps.shop:app"
UVICORN = (
    "-m",
    "uvicorn",
    APP,
    "--no-access-log",
    "--timeout-keep-alive",
    "60",
    "--timeout-worker-healthcheck",  # after 5 s, one that starts slowly is killed, as is the next
    "15",
    "--workers",
    "{workers}",
    "--port",
    "{port}",
)
HYPERCORN = ("-m", "hypercorn", APP, "--keep-alive", "60", "--workers", "{workers}", "--bind", "127.0.0.1:{port}")
GUNICORN = (
    *("-m", "gunicorn", APP, "--worker-class", "uvicorn_worker.UvicornWorker", "--no-control-socket"),
    *(
        "--preload",
        "--keep-alive",
        "60",
        "--graceful-timeout",
        "5",
        "--workers",
        "{workers}",
        "--bind",
        "127.0.0.1:{port}",
    ),
)


class Desk:
    """One connection, which is to one worker for as long as it is open."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=20)

    def ask(self, path: str, method: str = "GET") -> tuple[int, Any]:
        """Status, and the body as JSON (as text where it is none)."""
        self._connection.request(method, path)
        with self._connection.getresponse() as answer:
            body = answer.read().decode()
            return answer.status, json.loads(body) if body.startswith("{") else body

    def close(self) -> None:
        self._connection.close()

    def report(self) -> Any:
        return self.ask("/health/detailed")[1]

    def worker(self) -> Any:
        """What it says of itself among the others."""
        return self.report()["agent"]["worker"]


class Run(NamedTuple):
    """One run of the check, as it wrote it down."""

    at: float
    pid: int
    held: bool


class Shop(Server):
    """`command` is that of a server; its state and the check's lines lie in its folder."""

    program: ClassVar[str] = "shop"

    def __init__(self, folder: Path, command: tuple[str, ...], workers: int, **environment: str) -> None:
        super().__init__(folder)
        self._command = command
        self.workers = workers
        self._environment = {
            "PYTHONPATH": str(ROOT),
            "SHOP_FOLDER": str(folder),
            "XDG_STATE_HOME": str(folder),
            "OTELHEALTH_SERVER__LIMITS__RUNS_PER_MINUTE": "8",
            "OTEL_METRIC_EXPORT_INTERVAL": "1000",
            **environment,
        }

    def command(self) -> list[str]:
        return [sys.executable, *self.arguments()]

    def arguments(self) -> list[str]:
        return [part.format(workers=self.workers, port=self.ports["http"]) for part in self._command]

    def environment(self) -> Mapping[str, str]:
        return self._environment

    @contextmanager
    def desks(self) -> Iterator[dict[int, Desk]]:
        """A connection to each worker, by its pid; nobody can choose one, so many are opened."""
        found: dict[int, Desk] = {}
        with ExitStack() as opened:
            eventually(lambda: self._open(found, opened), 30)
            yield found

    def _open(self, found: dict[int, Desk], opened: ExitStack) -> bool:
        desk = Desk(self.ports["http"])
        opened.callback(desk.close)
        with suppress(OSError, HTTPException):  # a worker that just starts or ends
            found.setdefault(desk.report()["agent"]["worker"]["pid"], desk)
        return len(found) == self.workers

    def runs(self) -> list[Run]:
        """All runs of the check so far."""
        file = self.folder / "runs"
        lines = file.read_text().rpartition("\n")[0].splitlines() if file.exists() else []
        return [Run(float(at), int(pid), held == "True") for at, pid, held in map(str.split, lines)]
