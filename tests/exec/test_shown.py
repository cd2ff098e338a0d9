"""The programs that README and docs show as staying run as printed, say what is printed, and answer what is printed."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.exec.auto import auto_bin
from tests.exec.executed import environment
from tests.inside.asking import get
from tests.pages import Session, masked, sessions, write
from tests.stack.loopback import free_ports, until

SHOWN = sessions()
APP = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("hello"))])
"""


class Reader:
    """Somebody who does what a page says, in a folder of their own and on ports that are free here."""

    def __init__(self, session: Session, folder: Path) -> None:
        self._folder = folder
        self._log = folder / "said"
        self._health, self._http = free_ports(("health", "http")).values()
        (folder / "app.py").write_text(APP)
        (folder / "shop.yaml").write_text("service: {name: shop}\n")
        write(session.page, folder)
        for file in folder.glob("*.yaml"):
            file.write_text(self._here(file.read_text()))
        if session.command.startswith("otelhealth run"):  # README shows it before there is a configuration
            (folder / "otelhealth.yaml").unlink(missing_ok=True)
        port = self._http if session.command.startswith("uvicorn") else self._health
        self.health_url = f"http://127.0.0.1:{port}/health/live"

    def _here(self, text: str) -> str:
        for shown, free in ((8082, self._health), (8000, self._http)):
            text = text.replace(f":{shown}", f":{free}").replace(f"port: {shown}", f"port: {free}")
        return text.replace("/home/me", str(self._folder))

    @contextmanager
    def runs(self, command: str) -> Iterator[None]:
        environ = environment(
            self._folder,
            PATH=f"{auto_bin()}{os.pathsep}{os.environ['PATH']}",
            XDG_STATE_HOME=str(self._folder / ".local" / "state"),
            OTELHEALTH_SERVER__LISTEN=f"127.0.0.1:{self._health}",
            GUNICORN_CMD_ARGS=f"--bind 127.0.0.1:{self._http} --no-control-socket",
            UVICORN_PORT=str(self._http),
        )
        if not (self._folder / "otelhealth.yaml").exists():
            environ["OTEL_SERVICE_NAME"] = "myhost"
        shell = ["sh", "-c", f"exec {command}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(shell, cwd=self._folder, env=environ, stdout=log, stderr=log)
        try:
            yield
        finally:
            self._process.terminate()
            self._process.wait(timeout=30)

    def reads(self, line: str) -> bool:
        return masked(self._here(line)) in [masked(one) for one in self._lines()]

    def is_answered(self, url: str, expected: str = "") -> bool:
        self._lines()
        try:
            code, body = get(self._here(url))
        except OSError:
            return False
        alike = masked if "timestamp" in expected else str
        return alike(body.decode()) == alike(expected) if expected else code == 200

    def _lines(self) -> list[str]:
        said = self._log.read_text()
        assert self._process.poll() is None, said
        return said.splitlines()


def test_each_way_is_shown() -> None:
    commands = " ".join(session.command for session in SHOWN)
    assert all(
        way in commands for way in ("otelhealth run", "otelhealth exec", "opentelemetry-instrument", "uvicorn inside")
    )
    assert sum(len(session.answered) for session in SHOWN) >= 4


@pytest.mark.parametrize("session", SHOWN, ids=[f"{session.page}: {session.command}" for session in SHOWN])
def test_a_program_is_as_it_is_printed(session: Session, tmp_path: Path) -> None:
    reader = Reader(session, tmp_path)
    with reader.runs(session.command):
        until(partial(reader.is_answered, reader.health_url), "answer of the agent")
        for line in session.said:
            until(partial(reader.reads, line), f"line {line!r}")
        for url, answer in session.answered:
            until(partial(reader.is_answered, url, answer), f"{answer} of {url}")
