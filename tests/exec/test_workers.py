"""Several processes of one service, each with providers and an instance of its own; one of them leads."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from otelhealth.inside.programs import forks, leads, program
from tests.exec.executed import Executed, environment
from tests.stack.loopback import fetch, free_ports
from tests.supervise.running import ROOT
from tests.telemetry.receiver import Receiver, attributes, points
from tests.waiting import eventually

BIN = Path(sys.executable).parent
SERVERS = {
    "uvicorn": [  # which kills a worker that has not started in 5 s, unless told otherwise
        *("uvicorn", "tests.exec.apps.plain:app", "--port", "{port}", "--workers", "2"),
        *("--timeout-worker-healthcheck", "60"),
    ],
    "gunicorn": [
        *("gunicorn", "-k", "uvicorn_worker.UvicornWorker", "-w", "2", "-b", "127.0.0.1:{port}"),
        *("--no-control-socket", "tests.exec.apps.plain:app"),
    ],
    "gunicorn's own": [
        "gunicorn",
        "-k",
        "asgi",
        "-w",
        "2",
        "-b",
        "127.0.0.1:{port}",
        "--no-control-socket",
        "tests.exec.apps.plain:app",
    ],
    "hypercorn": ["hypercorn", "-w", "2", "-b", "127.0.0.1:{port}", "tests.exec.apps.plain:app"],
}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


def served(name: str, port: int) -> list[str]:
    words = [word.format(port=port) for word in SERVERS[name]]
    return [str(BIN / words[0]), *words[1:]]


def settings(receiver: Receiver) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "OTEL_SERVICE_NAME": "shop",
        "OTEL_EXPORTER_OTLP_ENDPOINT": receiver.endpoint,
        "OTEL_METRIC_EXPORT_INTERVAL": "300",
    }


def ask(port: int) -> int:
    """The process that answered; 0 where none did."""
    try:
        return int(json.loads(fetch(f"http://127.0.0.1:{port}/items/7"))["pid"])
    except OSError:
        return 0


def ask_all(port: int, workers: int = 2) -> set[int]:
    """Until each of the workers has answered once."""
    pids: set[int] = set()

    def all_have_answered() -> bool:
        if pid := ask(port):
            pids.add(pid)
        return len(pids) >= workers

    eventually(all_have_answered, within=120)  # uvicorn may wait a minute for one that is killed while it is asked
    return pids


def requests_by_instance(receiver: Receiver) -> dict[str, int]:
    """How many requests each instance has told of."""
    found: dict[str, int] = {}
    for resource, metric in receiver.scoped_metrics():
        if metric.name == "http.server.request.duration":
            for point in points(metric):
                assert attributes(point.attributes)["http.route"] == "/items/{id}"
                found[resource["service.instance.id"]] = point.count
    return found


def spans_by_instance(receiver: Receiver) -> set[str]:
    return {
        resource["service.instance.id"]
        for resource, _, span in receiver.scoped_spans()
        if span.name == "GET /items/{id}" and span.kind == span.SPAN_KIND_SERVER
    }


@pytest.mark.parametrize("server", SERVERS)
def test_below_exec_each_worker_is_an_instance_of_its_own(server: str, tmp_path: Path, receiver: Receiver) -> None:
    port = free_ports(("http",))["http"]
    with Executed(tmp_path, served(server, port), **settings(receiver)) as run:
        ask_all(port)
        eventually(lambda: len(requests_by_instance(receiver)) == 2)
        eventually(lambda: len(spans_by_instance(receiver)) == 2)
        assert set(requests_by_instance(receiver)) == spans_by_instance(receiver)
    assert "Traceback" not in run.said()


def test_a_worker_that_follows_a_dead_one_has_its_instance(tmp_path: Path, receiver: Receiver) -> None:
    port = free_ports(("http",))["http"]
    with Executed(tmp_path, served("gunicorn", port), **settings(receiver)):
        pids = ask_all(port)
        eventually(lambda: len(spans_by_instance(receiver)) == 2)
        before, dead = spans_by_instance(receiver), pids.pop()
        os.kill(dead, signal.SIGKILL)
        eventually(lambda: dead not in (now := ask_all(port)) and len(now) == 2)
        told = len(receiver.spans())
        eventually(lambda: len(receiver.spans()) > told)
    assert spans_by_instance(receiver) == before


def test_what_was_recorded_last_is_not_lost_at_the_end(tmp_path: Path, receiver: Receiver) -> None:
    port = free_ports(("http",))["http"]
    command = [str(BIN / "uvicorn"), "tests.exec.apps.plain:app", "--port", str(port)]
    with Executed(tmp_path, command, **settings(receiver) | {"OTEL_BSP_SCHEDULE_DELAY": "60000"}) as run:
        eventually(lambda: ask(port), within=30)
        run.process.terminate()
        assert run.code() == 128 + signal.SIGTERM  # so ends uvicorn itself
    assert len(spans_by_instance(receiver)) == 1
    assert sum(requests_by_instance(receiver).values()) == 1


def said(folder: Path) -> str:
    return (folder / "stderr").read_text()


@contextmanager
def instrumented(folder: Path, command: list[str], **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """Below `opentelemetry-instrument`; its stderr in the file `stderr`."""
    programs = Path(environ.pop("programs", BIN))
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [str(programs / "opentelemetry-instrument"), *command],
            env=environment(folder, **environ),
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    try:
        yield process
    except Exception as error:
        error.add_note(f"its stderr:\n{said(folder)}")
        raise
    finally:
        process.terminate()
        process.communicate(timeout=60)  # gunicorn gives a worker that does not hear it 30 s


def health(port: int, path: str = "/health") -> Any:
    """None where nobody answers."""
    try:
        return json.loads(fetch(f"http://127.0.0.1:{port}{path}", any_status=True))
    except OSError:
        return None


@pytest.mark.parametrize("server", SERVERS)
def test_the_workers_of_a_program_work_as_one_and_the_next_takes_over(
    server: str, tmp_path: Path, receiver: Receiver
) -> None:
    port, listen = free_ports(("http", "health")).values()
    environ = settings(receiver) | {"OTELHEALTH_SERVER__LISTEN": f"127.0.0.1:{listen}"}
    with instrumented(tmp_path, served(server, port), **environ):
        pids = ask_all(port)
        assert eventually(lambda: health(listen), within=30)["service"] == "shop"
        eventually(lambda: len(requests_by_instance(receiver)) == 2)
        eventually(lambda: len(spans_by_instance(receiver)) == 2)
        assert set(requests_by_instance(receiver)) == spans_by_instance(receiver)
        eventually(lambda: instances_at(listen) == spans_by_instance(receiver), within=30)
        told = sum(requests_by_instance(receiver).values())
        eventually(lambda: health(listen, "/health/detailed")["performance"]["requests"] >= told, within=30)
        eventually(lambda: requests_told(tmp_path) >= told, within=30)
        [leader] = {pid for pid in pids if _listens(pid, listen)}
        if server == "hypercorn":  # ends when one of its workers dies
            return
        assert health(listen, "/health/detailed")["agent"]["worker"]["pid"] == leader
        os.kill(leader, signal.SIGKILL)
        next_one = eventually(lambda: health(listen, "/health/detailed"), within=30)
        assert (next_one["agent"]["worker"]["leads"], next_one["agent"]["worker"]["pid"] != leader) == (True, True)
        assert next_one["performance"]["requests"] >= told
        eventually(lambda: len(ask_all(port) - {leader}) == 2)  # gunicorn's worker hears no end while it starts
        eventually(lambda: said(tmp_path).count("an agent works in this program and answers") == 2)
        assert "nowhere" not in said(tmp_path)


def instances_at(listen: int) -> set[str]:
    """Of which instances `/metrics` has requests."""
    text = fetch(f"http://127.0.0.1:{listen}/metrics").decode()
    lines = (line for line in text.splitlines() if line.startswith("http_server_request_duration_seconds_count"))
    return {line.partition('service_instance_id="')[2].partition('"')[0] for line in lines}


def requests_told(folder: Path) -> int:
    """How many requests the workers have told each other of, which each does every 10 s."""
    [file] = folder.rglob("*-workers.db")
    with closing(sqlite3.connect(file)) as connection:
        [[found]] = connection.execute("SELECT sum(requests) FROM counts")
    return int(found or 0)


def _listens(pid: int, port: int) -> bool:
    return any(
        each.laddr.port == port and each.status == psutil.CONN_LISTEN
        for each in psutil.Process(pid).net_connections("tcp")
    )


def test_what_a_program_recorded_last_is_not_lost_when_it_ends(tmp_path: Path, receiver: Receiver) -> None:
    """Its own way, so that nothing is left to wait for but the interpreter's end."""
    code = "from opentelemetry import trace; input(); trace.get_tracer('shop').start_span('the last').end()"
    environ = settings(receiver) | {"OTEL_BSP_SCHEDULE_DELAY": "60000"}
    with instrumented(tmp_path, [sys.executable, "-c", code], **environ) as process:
        eventually(lambda: "an agent works in this program" in said(tmp_path), within=30)
        process.communicate(b"\n", timeout=30)
    assert [span.name for span in receiver.spans() if not span.name.startswith("check ")] == ["the last"]
    assert "Traceback" not in said(tmp_path)


def test_a_process_in_which_nothing_of_the_program_runs_loads_no_agent(tmp_path: Path) -> None:
    code = "from multiprocessing.resource_tracker import main; import sys; print('otelhealth.agent' in sys.modules)"
    with instrumented(tmp_path, [sys.executable, "-c", code]) as process:
        assert process.communicate(timeout=60)[0] == b"False\n"


def test_an_address_that_is_taken_is_no_error(tmp_path: Path, receiver: Receiver) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        listen = f"127.0.0.1:{other.getsockname()[1]}"
        checks = "{load: {kind: load, every: 1s}}"
        environ = settings(receiver) | {"OTELHEALTH_SERVER__LISTEN": listen, "OTELHEALTH_CHECKS": checks}
        command = [sys.executable, "-c", "print('works', flush=True); input()"]
        with instrumented(tmp_path, command, **environ):
            eventually(lambda: "answers nowhere" in said(tmp_path), within=30)
            eventually(lambda: any(span.name == "check load" for span in receiver.spans()), within=30)
        assert "cannot listen on" in said(tmp_path)


BLOCKING = """
import time
from pathlib import Path
from opentelemetry import trace

async def check():
    trace.get_tracer("blocking").start_span("made before").end()
    Path("ran").touch()
    time.sleep(1000)
"""


def test_a_check_that_blocks_the_agent_does_not_keep_the_program_and_nothing_is_lost(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.down()
    (tmp_path / "blocking.py").write_text(BLOCKING)
    checks = "{blocking: {kind: python, call: 'blocking:check'}}"
    environ = settings(receiver) | {"OTELHEALTH_SERVER__LISTEN": "127.0.0.1:0"}
    file = tmp_path / "otelhealth.yaml"
    file.write_text(f"checks: {checks}\ntelemetry: {{traces: {{delay: 1m}}}}\n")
    with instrumented(tmp_path, [sys.executable, "-c", "input()"], **environ) as process:
        eventually((tmp_path / "ran").exists, within=30)
        process.communicate(b"\n", timeout=60)  # 1000 s, did it wait for the check
    receiver.up()
    file.write_text("checks: {}")
    with instrumented(tmp_path, [sys.executable, "-c", "input()"], **environ):
        eventually(lambda: "made before" in {span.name for span in receiver.spans()}, within=30)


def test_a_bad_configuration_is_loud_and_the_program_runs(tmp_path: Path) -> None:
    (tmp_path / "otelhealth.yaml").write_text("exec: {grace: 5}\n")
    with instrumented(tmp_path, [sys.executable, "-c", "print('works')"]) as process:
        assert process.communicate(timeout=30)[0] == b"works\n"
    text = said(tmp_path)
    file = tmp_path / "otelhealth.yaml"
    assert f"otelhealth: this program runs without its agent: {file}:1:15: exec.grace: a duration needs" in text


def test_exporters_of_the_users_own_stay(tmp_path: Path) -> None:
    code = "from opentelemetry import trace; trace.get_tracer('t').start_span('mine').end()"
    with instrumented(tmp_path, [sys.executable, "-c", code], OTEL_TRACES_EXPORTER="console") as process:
        assert json.loads(process.communicate(timeout=30)[0])["name"] == "mine"
    assert "send by themselves, without the spool" in said(tmp_path)


@pytest.mark.parametrize(
    ("words", "environ", "expected"),
    [
        ("/v/python /v/gunicorn app:app", {}, ("gunicorn", True, False)),
        ("python -m gunicorn.app.wsgiapp app:app", {}, ("gunicorn", True, False)),
        ("python /v/uvicorn app:app", {}, ("uvicorn", False, False)),
        ("python -m uvicorn app:app --workers 4", {}, ("uvicorn", False, True)),
        ("python /v/uvicorn app:app --workers=4", {}, ("uvicorn", False, True)),
        ("python /v/uvicorn app:app --workers 1", {"WEB_CONCURRENCY": "3"}, ("uvicorn", False, False)),
        ("python /v/uvicorn app:app", {"WEB_CONCURRENCY": "3"}, ("uvicorn", False, True)),
        ("python /v/uvicorn app:app --reload", {}, ("uvicorn", False, True)),
        ("python /v/hypercorn app:app", {}, ("hypercorn", False, True)),
        ("python /v/hypercorn -w 0 app:app", {}, ("hypercorn", False, False)),
        ("python script.py uvicorn --reload", {}, ("", False, False)),
        ("python -c from\xa0multiprocessing.resource_tracker\xa0import\xa0main", {}, ("", False, True)),
        ("python -c import_uvicorn uvicorn --reload", {}, ("", False, False)),
        ("python", {}, ("", False, False)),
    ],
)
def test_the_part_of_a_process_is_told_by_its_words(
    words: str, environ: dict[str, str], expected: tuple[str, bool, bool]
) -> None:
    split = [word.replace("\xa0", " ") for word in words.split(" ")]
    assert (program(split), forks(split), leads(split, environ)) == expected
