"""The log of `otelhealth run` as it leaves the process: JSON to the last line, in a file, read by nobody."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.kinds.loopback import serving
from tests.logs.records import strictly
from tests.planted import ENVIRON, SECRETS, echo_http, echo_tcp, leaks
from tests.planted import settings as planted
from tests.stack.loopback import answers, fetch, free_ports, until
from tests.stack.programs import Agent
from tests.telemetry.receiver import Receiver
from tests.waiting import until as until_async

NOISY = """\
import logging, threading

def raises():
    raise LookupError("no such item\\nand more")

def starts_a_thread():
    thread = threading.Thread(target=raises, name="lost")
    thread.start()
    thread.join()

def tells():
    logging.getLogger("shop.stock").warning("%d left", 3, extra={"item": "tea"})
"""


def write(folder: Path, **sections: Any) -> Path:
    (folder / "noisy.py").write_text(NOISY)
    file = folder / "otelhealth.yaml"
    config = {"service": {"name": "shop", "version": "1.4.2"}, "store": {"path": ":memory:"}, "checks": {}} | sections
    file.write_text(json.dumps(config))
    return file


def noisy(function: str, **more: Any) -> dict[str, Any]:
    return {"kind": "python", "call": f"noisy:{function}", "every": "200ms", **more}


def lines(agent: Agent) -> list[dict[str, Any]]:
    """What it has said so far, each line by the strictest reader; one that is just being written is not there yet."""
    return [strictly(line) for line in agent.log.read_text().rpartition("\n")[0].splitlines()]


def told(agent: Agent, message: str) -> dict[str, Any]:
    """The first line with that text, as soon as it is there."""

    def found() -> dict[str, Any] | None:
        return next((line for line in lines(agent) if message in line["message"]), None)

    return until(found, f"line with {message!r}") or {}


def test_every_line_is_json_from_the_first_one_on(tmp_path: Path) -> None:
    checks = {"raises": noisy("raises"), "thread": noisy("starts_a_thread"), "tells": noisy("tells")}
    config = write(tmp_path, log={"format": "json"}, checks=checks)
    with Agent(tmp_path, config, {"OTEL_BSP_SCHEDULE_DELAY": "never"}) as agent:
        change = told(agent, "raises: unknown -> fail")
        told(agent, "the thread lost ended by an exception")
        own = told(agent, "3 left")
        trace = json.loads(fetch(f"{agent.url}/health/checks/raises"))["trace_id"]
    found = lines(agent)
    assert found[0]["message"].startswith("OTEL_BSP_SCHEDULE_DELAY is ignored")
    assert {line["resource"]["service.name"] for line in found} == {"shop"}
    assert all({"timestamp", "level", "logger", "message", "attributes", "resource"} <= line.keys() for line in found)
    assert change["level"] == "ERROR"
    assert change["attributes"]["otelhealth.check.name"] == "raises"
    assert len(change["trace_id"]) == len(trace) == 32
    assert (own["logger"], own["level"], own["attributes"]["item"]) == ("shop.stock", "WARN", "tea")
    assert len(own["span_id"]) == 16
    assert any(line["message"].startswith("otelhealth 0.1.0 watches shop; config ") for line in found)


def test_the_command_line_and_the_environment_go_before_the_file(tmp_path: Path) -> None:
    config = write(tmp_path, log={"format": "text", "level": "error"}, checks={"raises": noisy("raises")})
    with Agent(tmp_path, config, {"OTELHEALTH_LOG__FORMAT": "json", "OTELHEALTH_LOG__LEVEL": "debug"}) as agent:
        raised = told(agent, "check raises raised")
    assert "noisy.py" in raised["attributes"]["exception.stacktrace"]


def test_text_is_one_line_a_record_but_for_tracebacks(tmp_path: Path) -> None:
    config = write(tmp_path, log={"level": "debug"}, checks={"raises": noisy("raises")})
    with Agent(tmp_path, config) as agent:
        until(lambda: "unknown -> fail" in agent.log.read_text(), "change of state")
    text = agent.log.read_text().splitlines()
    assert [line for line in text if line.endswith(r"raises: unknown -> fail: LookupError: no such item")]
    assert [line for line in text if line.startswith("      File ") and "noisy.py" in line]


def test_a_file_takes_the_log_for_its_owner_only(tmp_path: Path) -> None:
    log = tmp_path / "log" / "agent.log"
    config = write(tmp_path, log={"format": "json", "file": str(log)}, checks={"raises": noisy("raises")})
    with Agent(tmp_path, config) as agent:
        until(lambda: log.exists() and "unknown -> fail" in log.read_text(), "change of state")
        log.rename(log.with_suffix(".old"))
        assert agent.pid is not None
        os.kill(agent.pid, signal.SIGHUP)
        until(lambda: log.exists() and "was read again" in log.read_text(), "new file")
    assert stat.S_IMODE(log.stat().st_mode) == 0o600
    assert all(strictly(line) for each in log.parent.iterdir() for line in each.read_text().splitlines())
    assert agent.log.read_text() == ""


def test_a_file_that_cannot_be_opened_ends_the_start_with_a_remedy(tmp_path: Path) -> None:
    config = write(tmp_path, log={"file": str(tmp_path / "otelhealth.yaml" / "agent.log")})
    ended = subprocess.run(
        [sys.executable, "-m", "otelhealth", "run", "-c", str(config)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "agent.log cannot be opened: Not a directory; name one that this user may write" in ended.stderr


@contextmanager
def unread(tmp_path: Path, config: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """An agent whose stderr nobody reads, and where it answers."""
    address = f"127.0.0.1:{free_ports(('http',))['http']}"
    process = subprocess.Popen(
        [sys.executable, "-m", "otelhealth", "run", "-c", str(config)],
        cwd=tmp_path,
        env=os.environ | {"OTELHEALTH_SERVER__LISTEN": address},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: answers(f"http://{address}/health/live"), "answer")
        yield process, f"http://{address}"
    finally:
        process.kill()
        process.communicate()


def test_a_log_that_nobody_reads_holds_up_nothing(tmp_path: Path) -> None:
    checks = {f"raises-{number}": noisy("raises", every="100ms") for number in range(20)}
    config = write(tmp_path, log={"level": "debug"}, checks=checks)
    with unread(tmp_path, config) as (process, url):
        # 200 tracebacks a second fill the 64 KiB of the pipe in a moment
        until(lambda: runs(url) > 600, "runs", every=0.2)
        assert answers(f"{url}/health/live")
        process.terminate()
        assert process.wait(30) == 0


def runs(url: str) -> float:
    """Of the scrape's text: all runs of all checks."""
    text = fetch(f"{url}/metrics").decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in text if "check_duration_seconds_count{" in line)


@pytest.mark.parametrize("form", ["text", "json"])
async def test_no_secret_is_in_the_log_at_its_most_talkative(tmp_path: Path, form: str, receiver: Receiver) -> None:
    async with serving(echo_http) as http, serving(echo_tcp) as tcp:
        log = {"format": form, "level": "debug", "otlp": "debug"}
        config = planted(tmp_path, http, tcp, receiver.endpoint, log=log)
        file = tmp_path / "otelhealth.yaml"
        file.write_text(json.dumps(config))
        agent = await asyncio.to_thread(Agent(tmp_path, file, ENVIRON).start)
        try:
            await until_async(lambda: agent.log.read_text().count("-> fail") >= 12)
            await until_async(lambda: "check raises raised" in agent.log.read_text())
            file.write_text(json.dumps(config | {"checks": broken()}))
            assert agent.pid is not None
            os.kill(agent.pid, signal.SIGHUP)
            await until_async(lambda: "the changed configuration is refused" in agent.log.read_text())
        finally:
            await asyncio.to_thread(agent.stop)
    assert receiver.logs()
    assert leaks({"log": agent.log.read_text()} | {str(n): r.body for n, r in enumerate(receiver.requests)}) == []


def broken() -> dict[str, Any]:
    """Errors in values that are secret."""
    return {
        "a": {"kind": "http", "url": "${env:PLANTED_HEADER}", "headers": {"x": "${env:PLANTED_BODY}\n"}},
        "b": {"kind": "cpu", "every": "${env:PLANTED_TOKEN}", "depends_on": ["${env:PLANTED_OTLP}"]},
        "c": {"kind": "${env:PLANTED_ANSWER}", "x": SECRETS["name"][:2]},
    }
