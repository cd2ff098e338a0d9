from __future__ import annotations

import re
import signal
import sys
import urllib.request
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from otelhealth.cli.main import main
from tests.exec.executed import Executed
from tests.supervise.running import gone
from tests.telemetry.receiver import Receiver, attributes, points
from tests.waiting import eventually

WAITS = (
    "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); print('up')\n"
    "while True: time.sleep(0.02)"
)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def test_its_output_is_the_commands_alone_and_its_code_too(tmp_path: Path) -> None:
    with Executed(tmp_path, python("print(input()); raise SystemExit(7)")) as run:
        out, _ = run.process.communicate("hello\n", timeout=30)
        assert (out, run.code()) == ("hello\n", 7)
        assert "watches" in run.said()


def test_a_command_that_cannot_be_run_ends_it_as_a_shell_would(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["exec", "--", "no-such-command"]) == 127
    assert main(["exec", str(Path(__file__))]) == 126
    assert main(["exec"]) == 3
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("otelhealth: no-such-command is not found on PATH; ")
    assert said[1].startswith(f"otelhealth: {__file__} cannot be executed; ")
    assert said[2].startswith("otelhealth: which command? ")


def test_a_bad_configuration_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "otelhealth.yaml").write_text("exec: {grace: 5}\n")
    with Executed(tmp_path, ["touch", str(tmp_path / "ran")]) as run:
        assert run.code() == 2
        assert "otelhealth.yaml:1:15: exec.grace: a duration needs a unit; write 5s or 5m" in run.said()
    assert not (tmp_path / "ran").exists()


def test_the_command_is_a_check_and_its_process_is_what_lives(tmp_path: Path) -> None:
    with Executed(tmp_path, python(WAITS), ["--restart", "on-failure"]) as run:
        assert run.line() == "up"
        record = eventually(lambda: (found := run.get("/health/checks/child"))["status"] == "pass" and found)
        assert (record["tier"], record["groups"]) == (1, ["live", "ready"])
        assert record["measurements"]["rss"]["value"] > 0
        assert run.get("/health/live")["status"] == "alive"
        [command] = [p for p in psutil.Process(run.process.pid).children() if "time.sleep" in p.cmdline()[-1]]
        command.send_signal(signal.SIGKILL)
        run.until_said("child: pass -> fail: python.* has ended with 137, and starts again soon")
        run.until_said("child: fail -> warn: python.* runs for .*; it ended with 137 before")
        assert run.get("/health/checks/child")["measurements"]["restarts"]["value"] == 1
        with urllib.request.urlopen(f"{run.url}/metrics") as answer:
            text = answer.read().decode()
        assert 'otelhealth_process_exits_total{process_exit_code="137",service_instance_id="' in text
        assert run.line() == "up"
        run.process.terminate()
        assert run.code() == 0


def test_it_is_not_alive_while_it_waits_to_be_started_again(tmp_path: Path) -> None:
    (tmp_path / "otelhealth.yaml").write_text("exec: {restart: {policy: always, backoff: 1m}}")
    with Executed(tmp_path, python("raise SystemExit(4)")) as run:
        run.until_said("child: .* -> fail: python.* has ended with 4, and starts again soon")
        assert run.status("/health/live") == 503
        assert run.get("/health/ready")["status"] == "unready"
        assert run.get("/health")["status"] == "critical"
        run.process.terminate()
        assert run.code() == 4


def test_a_program_in_any_language_finds_where_to_export_to_and_none_of_the_agents_secrets(tmp_path: Path) -> None:
    shown = 'echo "$OTEL_EXPORTER_OTLP_ENDPOINT $OTEL_EXPORTER_OTLP_HEADERS"; cat'
    way = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_EXPORTER_OTLP_HEADERS": "authorization=hunter2"}
    with Executed(tmp_path, ["sh", "-c", shown], **way) as run:
        receives = run.until_said(r"receives +(http://\S+) \(OTLP/HTTP\), forwarded to http://127.0.0.1:9\n")
        assert run.line() == receives[1]
        run.until_said("sh runs uninstrumented: no Python program has begun in it")
        assert "hunter2" not in run.said()


def test_it_is_unready_from_the_first_signal_on(tmp_path: Path) -> None:
    stubborn = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); signal.pause()"
    with Executed(tmp_path, python(stubborn), ["--grace", "60s"]) as run:
        assert run.line() == "up"
        eventually(lambda: run.get("/health/ready")["status"] == "ready")
        run.process.terminate()
        eventually(lambda: run.get("/health/ready")["status"] == "unready")
        assert run.get("/health/ready")["checks"]["child"]["error"] == "the service is shutting down"
        assert run.process.poll() is None
        for process in psutil.Process(run.process.pid).children():
            if "signal.pause" in process.cmdline()[-1]:
                process.kill()
        assert run.code() == 137
        assert " -> fail" not in run.said()  # what was asked for is no failure


def test_what_the_tree_uses_leaves_under_the_services_own_instance(tmp_path: Path, receiver: Receiver) -> None:
    exported = {"OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "200"}
    code = "import os; print(os.environ['OTELHEALTH_INSTANCE'], flush=True); input(); raise SystemExit(3)"
    with Executed(tmp_path, python(code), OTEL_SERVICE_NAME="shop", **exported) as run:
        instance = run.line()

        def own(name: str) -> list[Any]:
            who = (instance, "shop")
            return [
                point
                for resource, metric in receiver.scoped_metrics()
                if metric.name == name and (resource["service.instance.id"], resource["service.name"]) == who
                for point in points(metric)
            ]

        eventually(lambda: own("process.memory.usage"))
        assert own("process.memory.usage")[0].as_double > 1 << 20
        assert {attributes(point.attributes)["cpu.mode"] for point in own("process.cpu.time")} == {"user", "system"}
        run.process.communicate("\n", timeout=30)
        assert run.code() == 3
        [exit_] = {attributes(point.attributes)["process.exit.code"] for point in own("otelhealth.process.exits")}
        assert exit_ == "3"
        told = [record for record in receiver.logs() if record.event_name == "otelhealth.check.state_change"]
        assert any("has ended with 3" in str(record) for record in told)


def test_a_python_without_otelhealth_says_so_once_and_runs(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    bare = str(tmp_path / "bare" / "bin" / "python")
    with Executed(tmp_path, ["sh", "-c", f"{bare} -c 'print(1)'; {bare} -c 'print(2)'"]) as run:
        assert run.process.communicate(timeout=30)[0] == "1\n2\n"
        assert run.said().count(f"{bare} runs uninstrumented: No module named 'otelhealth'; pip install") == 1


def test_the_users_own_sitecustomize_runs_too(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("print('customized')")
    with Executed(tmp_path, python("print('program')"), PYTHONPATH=str(tmp_path)) as run:
        assert run.process.communicate(timeout=30)[0].endswith("customized\nprogram\n")


def test_the_agents_death_is_said_and_leaves_the_command_running(tmp_path: Path) -> None:
    with Executed(tmp_path, python(WAITS)) as run:
        eventually(lambda: run.get("/health/checks/child")["status"] == "pass")
        [agent] = [p for p in psutil.Process(run.process.pid).children() if "otelhealth.cli.beside" in p.cmdline()]
        [command] = [p for p in psutil.Process(run.process.pid).children() if p.pid != agent.pid]
        agent.kill()
        run.until_said(r"the agent has ended \(SIGKILL\): python.* goes on unwatched")
        eventually(lambda: run.said().count(" watches ") == 2, within=20)
        assert command.is_running()
        first, second = re.findall(r"receives +(http://\S+)", run.said())
        assert first == second  # where the command goes on to send


def test_nothing_is_left_when_it_is_killed(tmp_path: Path) -> None:
    nested = f"import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', {WAITS!r}]); print(p.pid); p.wait()"
    with Executed(tmp_path, python(nested)) as run:
        grandchild = int(run.line())
        pids = [grandchild, *(process.pid for process in psutil.Process(run.process.pid).children())]
        run.process.kill()
        for pid in pids:
            eventually(gone(pid), within=20)


def test_its_directory_is_removed(tmp_path: Path) -> None:
    with Executed(tmp_path, python("import os; print(os.environ['OTELHEALTH_BESIDE'])")) as run:
        folder = run.process.communicate(timeout=30)[0].strip()
        assert folder
        assert not Path(folder).exists()
