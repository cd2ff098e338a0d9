"""The demo, started and ended as a person does it: what it prints is true, and nothing of it is left."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.stack.loopback import fetch, kept, until
from tests.stack.programs import ROOT

DEMO = [sys.executable, "-m", "examples.demo"]
VENV = Path(sys.executable).parents[1]
# The Makefile's own line, without its set-up: this environment is there already.
MAKE = ["make", "-o", f"{VENV}/.dev", "-o", "stack", f"VENV={VENV}", "demo"]
Process = subprocess.Popen[bytes]


class Demo:
    """A running demo, whose temporary folder is below `room`, and what it has said so far."""

    def __init__(self, folder: Path, command: list[str]) -> None:
        self.room, self.output = folder / "room", folder / "said.txt"
        self.room.mkdir()
        environment = os.environ | {"TMPDIR": str(self.room)}
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def up(self) -> None:
        until(lambda: "tail -n 3" in self.said or self.process.poll() is not None, "running demo")
        assert self.process.poll() is None, self.said

    def url(self, part: str) -> str:
        found = re.search(rf"^  {part} +(http://\S+)", self.said, re.MULTILINE)
        assert found, self.said
        return found[1]

    def commands(self) -> list[str]:
        return [line.strip() for line in self.said.partition("try:\n")[2].splitlines() if line.startswith("  ")]

    def processes(self) -> list[psutil.Process]:
        """The demo itself, make around it, and what works in its folder."""
        found = []
        for process in psutil.process_iter(["cwd", "environ"]):
            here = (process.info["cwd"] or "").startswith(f"{self.room}/")
            if here or (process.info["environ"] or {}).get("TMPDIR") == str(self.room):
                found.append(process)
        return found

    def left(self) -> list[object]:
        """Whatever there is of it: processes, folders, ports that answer."""
        ports = {int(port) for port in re.findall(r"http://127\.0\.0\.1:(\d+)", self.said)}
        return [*self.processes(), *self.room.iterdir(), *filter(taken, ports)]


def taken(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def demo(folder: Path, command: list[str] | None = None) -> Iterator[Demo]:
    running = Demo(folder, command or DEMO)
    try:
        yield running
    finally:
        with suppress(ProcessLookupError):
            running.process.terminate()
        running.process.wait(60)


def interrupt(process: Process) -> None:
    process.send_signal(signal.SIGINT)


def press_ctrl_c(process: Process) -> None:
    """As a terminal does it: to the whole process group, make and all."""
    os.killpg(process.pid, signal.SIGINT)


def press_it_again_and_again(process: Process) -> None:
    while process.poll() is None:
        press_ctrl_c(process)
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.05)


def terminate(process: Process) -> None:
    process.terminate()


def hang_up(process: Process) -> None:
    process.send_signal(signal.SIGHUP)


def answer(command: str) -> str:
    """What a printed command gives; curl's questions are put by this test where there is no curl."""
    words = shlex.split(command)
    if words[0] != "curl" or shutil.which("curl"):
        return subprocess.run(command, shell=True, capture_output=True, text=True, check=True, timeout=30).stdout
    url = next(word for word in words if word.startswith("http"))
    data = dict([words[-1].split("=", 1)]) if "--data-urlencode" in words else {}
    return fetch(url + (f"?{urllib.parse.urlencode(data)}" if data else ""), any_status=True).decode()


def shows(command: str, text: str) -> bool:
    return text in answer(command)


def report(running: Demo) -> dict[str, str]:
    """The status of each check."""
    checks = json.loads(fetch(f"{running.url('agent')}/health/detailed", any_status=True))["checks"]
    return {name: check["status"] for name, check in checks.items()}


def test_its_checks_are_well_but_for_the_one_that_shows_a_failure_and_all_it_prints_can_be_asked(
    tmp_path: Path,
) -> None:
    with demo(tmp_path) as running:
        running.up()
        until(lambda: "unknown" not in report(running).values(), "state of every check")
        assert {name for name, status in report(running).items() if status == "fail"} <= {"checkout"}
        assert len(report(running)) == 14
        expected = {
            "/health/detailed": '"checkout"',
            "/health/checks/checkout": '"trace_id"',
            "/metrics": "otelhealth_check_duration_seconds_bucket{",
            "/api/v3/traces": '"check ',
            "otelhealth_check_status": '"otelhealth_check_state":"pass"',
            "histogram_quantile": '"value":[',
            "system_memory_usage_bytes": '"system_memory_state":"used"',
            "logs.jsonl": "otelhealth.check.state_change",
        }
        commands = running.commands()
        assert len(commands) == len(expected)
        for command, (asked, found) in zip(commands, expected.items(), strict=True):
            assert asked in command
            until(partial(shows, command, found), f"{found} from {command}")


@pytest.mark.parametrize(
    ("command", "end"),
    [
        *((DEMO, end) for end in (interrupt, terminate, hang_up, press_it_again_and_again)),
        *((MAKE, end) for end in (press_ctrl_c, terminate)),
    ],
)
def test_it_leaves_nothing_behind_however_it_is_ended(
    tmp_path: Path, command: list[str], end: Callable[[Process], None]
) -> None:
    with demo(tmp_path, command) as running:
        running.up()
        assert len(running.processes()) >= 6
        end(running.process)
        code = running.process.wait(60)
    assert running.left() == []
    assert "Traceback" not in running.said
    assert code == 0 or command is MAKE


@pytest.mark.parametrize("started", ["jaeger/jaeger.log", "collector/otelcol.log", "shop/shop.log", "agent"])
@pytest.mark.parametrize("end", [interrupt, terminate])
def test_it_leaves_nothing_behind_when_it_is_interrupted_while_it_starts(
    tmp_path: Path, started: str, end: Callable[[Process], None]
) -> None:
    with demo(tmp_path) as running:
        until(lambda: list(running.room.glob(f"*/{started}")), f"start of {started}", every=0.001)
        end(running.process)
        assert running.process.wait(60) == 0
    assert "try:" not in running.said
    assert running.left() == []


def test_it_ends_by_itself_when_it_is_told_for_how_long(tmp_path: Path) -> None:
    with demo(tmp_path, [*DEMO, "--for", "0.5"]) as running:
        assert running.process.wait(60) == 0
    assert "try:" in running.said
    assert running.left() == []


def test_it_says_which_of_them_has_died_and_ends(tmp_path: Path) -> None:
    with demo(tmp_path) as running:
        running.up()
        [shop] = [process for process in running.processes() if process.cwd().endswith("/shop")]
        shop.kill()
        assert running.process.wait(60) == 1
    assert "demo: shop has stopped" in running.said
    assert running.left() == []


def test_a_usual_port_that_is_taken_is_exchanged_for_a_free_one(tmp_path: Path) -> None:
    with kept(8082) as other, demo(tmp_path) as running:
        other.listen()  # on 8082 unless somebody else does already
        running.up()
        assert running.url("agent") != "http://127.0.0.1:8082"
        assert fetch(f"{running.url('agent')}/health/live")
