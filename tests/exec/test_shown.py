"""The commands that README shows around a service run as they are printed."""

from __future__ import annotations

import json
import os
import re
import subprocess
import urllib.request
from pathlib import Path

import pytest

from tests.exec.auto import auto_bin
from tests.exec.executed import ROOT, environment
from tests.stack.loopback import free_ports, until

COMMANDS = re.findall(
    r"^\$ ((?:otelhealth exec|opentelemetry-instrument) .+?)(?: +#.*)?$", (ROOT / "README.md").read_text(), re.MULTILINE
)
APP = """
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
app = Starlette(routes=[Route("/", lambda request: PlainTextResponse("hello"))])
"""


def test_both_ways_are_shown() -> None:
    assert {command.split()[0] for command in COMMANDS} == {"otelhealth", "opentelemetry-instrument"}


@pytest.mark.parametrize("command", [command for command in COMMANDS if "--list" not in command])
def test_a_command_of_readme_runs_as_printed(command: str, tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "shop.yaml").write_text("service: {name: shop}\n")
    health, http = free_ports(("health", "http")).values()
    environ = environment(
        tmp_path,
        PATH=f"{auto_bin()}{os.pathsep}{os.environ['PATH']}",
        OTELHEALTH_SERVER__LISTEN=f"127.0.0.1:{health}",
        GUNICORN_CMD_ARGS=f"--bind 127.0.0.1:{http} --no-control-socket",
        UVICORN_PORT=str(http),
    )
    with (tmp_path / "said").open("wb") as said:
        process = subprocess.Popen(["sh", "-c", f"exec {command}"], cwd=tmp_path, env=environ, stdout=said, stderr=said)

    def get(port: int, path: str) -> bytes:
        assert process.poll() is None, (tmp_path / "said").read_text()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
                body: bytes = answer.read()
                return body
        except OSError:
            return b""

    try:
        assert until(lambda: get(http, "/"), "answer of the service") == b"hello"
        assert json.loads(until(lambda: get(health, "/health"), "answer of the agent"))["status"]
    finally:
        process.terminate()
        process.wait(timeout=30)
