"""Applications as processes of their own under real servers, and what they exported."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.stack.server import Server

ROOT = Path(__file__).parents[2]


class Application(Server):
    """`module:app` of `tests.inside.apps` under a server; its state lies in its folder."""

    program: ClassVar[str] = "application"
    served_by = "uvicorn"
    more: tuple[str, ...] = ()  # arguments

    def __init__(self, folder: Path, module: str, endpoint: str = "", **environment: str) -> None:
        super().__init__(folder)
        self.module = f"tests.inside.apps.{module}:app"
        self._environment = {
            "PYTHONPATH": str(ROOT),
            "XDG_STATE_HOME": str(folder),
            "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
            "OTEL_METRIC_EXPORT_INTERVAL": "300",
            "HOME": str(folder),
            **environment,
        }

    def command(self) -> list[str]:
        return [sys.executable, *self.arguments()]

    def arguments(self) -> list[str]:
        at = self.address("http")
        gunicorn = ["-m", "gunicorn", self.module, "-b", at, "--no-control-socket", "-k"]
        match self.served_by:
            case "hypercorn":
                return ["-m", "hypercorn", self.module, "-b", at]
            case "gunicorn uvicorn":
                return [*gunicorn, "uvicorn_worker.UvicornWorker"]
            case "gunicorn asgi":
                return [*gunicorn, "asgi", "--preload"]  # the application is made before the worker's fork
        return ["-m", "uvicorn", self.module, "--port", str(self.ports["http"]), "--no-access-log", *self.more]

    def environment(self) -> Mapping[str, str]:
        return self._environment
