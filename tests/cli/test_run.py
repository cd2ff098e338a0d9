from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from otelhealth.cli.check import as_table
from otelhealth.cli.main import main
from tests.inside.asking import get_json
from tests.stack.loopback import answers, unused_port
from tests.telemetry.receiver import Receiver
from tests.waiting import eventually

CONFIG = """\
service: {{name: shop}}
server: {{listen: "127.0.0.1:0"}}
store: {{path: ":memory:"}}
checks:
  load: {{kind: load, every: 200ms}}
  {more}
"""


@contextmanager
def running(folder: Path, *arguments: str, files: int = 0) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`otelhealth run` as a process of its own, which may have so many files open, and where it answers."""
    limited = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh"] if files else []
    environ = {key: value for key, value in os.environ.items() if not key.startswith(("OTEL", "HC_"))}
    process = subprocess.Popen(
        [*limited, sys.executable, "-m", "otelhealth", "run", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environ | {"PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if line.startswith("  store"):
                break
        match = re.search(r"answers +(http://\S+)/health,", said)
        assert match, said + process.communicate(timeout=30)[1]
        yield process, match[1]
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate(timeout=30)


def write(folder: Path, more: str = "") -> Path:
    file = folder / "otelhealth.yaml"
    file.write_text(CONFIG.format(more=more))
    return file


def test_run_finds_the_file_answers_and_ends_with_0_on_sigterm(tmp_path: Path) -> None:
    write(tmp_path)
    with running(tmp_path) as (process, url):
        assert get_json(f"{url}/health")["service"] == "shop"
        assert main(["probe", f"{url}/health"]) == 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0


STARTED = """
import sys
from pathlib import Path
from otelhealth.cli import run
from otelhealth.config.load import load
load(Path("otelhealth.yaml"), {})
heavy = {"psutil", "cryptography", "dns", "pycares", "regex", "tomllib", "requests", "urllib.request", "grpc"}
print(*sorted(heavy & sys.modules.keys()), *(name for name in sys.modules if name.startswith("otelhealth.kinds.")))
"""


def test_a_start_loads_the_kinds_and_libraries_that_its_configuration_needs(tmp_path: Path) -> None:
    (tmp_path / "otelhealth.yaml").write_text("checks: {api: {kind: http, url: 'http://127.0.0.1:9/'}}")
    seen = subprocess.run([sys.executable, "-c", STARTED], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert set(seen.stdout.split()) == {"otelhealth.kinds.http"}


PLUGIN = """
class Plugin:
    def new_schema_validator(self, *_):
        print("a plugin of pydantic")
        return None, None, None
plugin = Plugin()
"""


@pytest.mark.parametrize(("environ", "looks"), [({}, False), ({"PYDANTIC_DISABLE_PLUGINS": ""}, True)])
def test_a_command_looks_for_no_plugins_of_pydantic_unless_it_is_told_to(
    tmp_path: Path, environ: dict[str, str], looks: bool
) -> None:
    (tmp_path / "plugged.py").write_text(PLUGIN)
    (tmp_path / "plugged-1.dist-info").mkdir()
    (tmp_path / "plugged-1.dist-info" / "entry_points.txt").write_text("[pydantic]\nplugged = plugged:plugin\n")
    (tmp_path / "plugged-1.dist-info" / "METADATA").write_text("Name: plugged\nVersion: 1\n")
    seen = subprocess.run(
        [sys.executable, "-m", "otelhealth", "validate", str(write(tmp_path))],
        env={**os.environ, "PYTHONPATH": str(tmp_path), **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("a plugin of pydantic" in seen.stdout) == looks, seen.stderr


def test_a_limit_of_open_files_that_is_too_low_is_said(tmp_path: Path) -> None:
    write(tmp_path)
    for files in (10, 40):
        ended = subprocess.run(
            ["sh", "-c", f"ulimit -n {files}; exec {sys.executable} -m otelhealth run"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 1
        assert ended.stderr.startswith(f"otelhealth: this process may have {files} files open, and an agent needs 64")
        assert len(ended.stderr.splitlines()) == 1


def test_ctrl_c_ends_it_without_a_traceback(tmp_path: Path) -> None:
    write(tmp_path)
    with running(tmp_path) as (process, _):
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 0, said
        assert "Traceback" not in said


def test_sighup_reloads(tmp_path: Path) -> None:
    file = write(tmp_path)
    with running(tmp_path, "-c", str(file)) as (process, url):
        write(tmp_path, "cpu: {kind: cpu}")
        process.send_signal(signal.SIGHUP)
        eventually(lambda: "cpu" in get_json(f"{url}/health/detailed")["checks"])
        assert process.poll() is None


def test_a_line_of_the_log_is_written_once(tmp_path: Path) -> None:
    write(tmp_path)
    with running(tmp_path) as (process, url):
        eventually(lambda: get_json(f"{url}/health/detailed")["checks"]["load"]["status"] in {"pass", "warn"})
        process.terminate()
        _, said = process.communicate(timeout=30)
    assert said.count("load: unknown -> ") == 1


def test_a_bad_configuration_ends_run_with_2_and_names_the_place(tmp_path: Path) -> None:
    file = write(tmp_path, "api: {kind: htpp}")
    done = subprocess.run(
        [sys.executable, "-m", "otelhealth", "run", "-c", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"{file}:6:15: checks.api.kind: " in done.stderr
    assert "did you mean http?" in done.stderr


def test_a_missing_file_ends_run_and_validate_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = str(tmp_path / "missing.yaml")
    assert main(["validate", missing]) == 2
    assert main(["run", "-c", missing]) == 2
    assert capsys.readouterr().err.count("missing.yaml") == 2


def test_validate_says_that_a_file_is_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", str(write(tmp_path))]) == 0
    assert "good, 1 check" in capsys.readouterr().out


def test_the_schema_is_printed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    assert "checks" in json.loads(capsys.readouterr().out)["properties"]


def test_kinds_lists_all_and_tells_the_fields_and_measurements_of_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kinds"]) == 0
    listed = capsys.readouterr().out
    assert re.search(r"^http  ", listed, re.MULTILINE)
    assert main(["kinds", "disk"]) == 0
    told = capsys.readouterr().out
    assert "system.filesystem.utilization" in told
    assert re.search(r"^every +such as 500ms +30s", told, re.MULTILINE)
    assert re.search(r"^threshold\.rise +integer +1 +Successes in a row", told, re.MULTILINE)
    assert main(["kinds", "http"]) == 0
    first = r"^FIELD .*\nurl +string +required .*\nmethod +such as GET +GET .*\nheaders +mapping  "
    assert re.search(first, capsys.readouterr().out, re.MULTILINE)
    assert main(["kinds", "dsk"]) == 3
    assert "did you mean disk?" in capsys.readouterr().err


def test_crowds_at_both_of_its_doors_leave_it_descriptors_to_answer_with(tmp_path: Path) -> None:
    receive = unused_port()
    (tmp_path / "otelhealth.yaml").write_text(
        "server: {listen: '127.0.0.1:0'}\nstore: {path: ':memory:'}\nchecks: {}\n"
        f"telemetry: {{receive: '127.0.0.1:{receive}'}}\n"
    )
    with running(tmp_path, files=256) as (process, url), ExitStack() as crowd:
        for port in (int(url.rpartition(":")[2]), receive) * 150:
            with suppress(ConnectionError):
                crowd.enter_context(socket.create_connection(("127.0.0.1", port)))
        eventually(lambda: psutil.Process(process.pid).num_fds() > 128)
        for _ in range(5):
            assert get_json(f"{url}/health/live")["status"] == "alive"


def test_check_ends_with_the_code_of_the_worst_and_prints_records(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, f"dead: {{kind: tcp, host: 127.0.0.1, port: {unused_port()}}}")
    assert main(["check", "-c", str(file), "load"]) == 0
    assert main(["check", "-c", str(file)]) == 2
    shown = capsys.readouterr().out.splitlines()
    assert shown[-2].startswith("fail    dead")
    assert main(["check", "-c", str(file), "--format", "json", "dead"]) == 2
    record = json.loads(capsys.readouterr().out)["dead"]
    assert (record["status"], record["error_type"], record["failure_count"]) == ("fail", "connection_refused", 1)


def test_check_ends_with_1_on_a_warning_and_3_on_unknown_or_bad_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "strict: {kind: load, levels: {load: {warn: '>= 0'}}}")
    assert main(["check", "-c", str(file), "strict"]) == 1
    assert main(["check", "-c", str(file), "strikt"]) == 3
    assert "did you mean strict?" in capsys.readouterr().err
    write(tmp_path, "lost: {kind: nothing}")
    assert main(["check", "-c", str(file)]) == 3


def test_check_cuts_measurements_never_messages_to_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dead = unused_port()
    file = write(tmp_path, f"dead: {{kind: tcp, host: 127.0.0.1, port: {dead}}}")
    main(["check", "-c", str(file), "--format", "json"])
    records = json.loads(capsys.readouterr().out)
    full, cut, narrow = (as_table(records, width).splitlines() for width in (0, 100, 20))
    assert max(map(len, full)) > 100 >= max(map(len, cut))
    assert cut[1].endswith("ms")
    assert re.search(r" load\[1m\] .*\] [0-9.]+$", cut[2])
    assert all(whole.startswith(line) for whole, line in zip(full, cut, strict=True))
    assert narrow[1].endswith(f"127.0.0.1:{dead} refused the connection")
    assert not any("load[" in line for line in narrow)


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full, the full disk of Linux")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_verdict_that_cannot_be_written_is_no_warning(unbuffered: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "otelhealth", "check", "-c", str(write(tmp_path, "")), "load"]
    with Path("/dev/full").open("w") as full:
        environ = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, env=environ, check=False)
    said = "otelhealth check: what it says cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (3, said)


def test_check_prints_json_that_any_reader_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "odd_figures.py").write_text(
        "def figures():\n    return {'a': float('nan'), 'b': float('inf'), 'c': 1}\n"
    )
    file = write(tmp_path, "odd: {kind: python, call: 'odd_figures:figures'}")
    assert main(["check", "-c", str(file), "--format", "json", "odd"]) == 0

    def strange(constant: str) -> None:
        raise AssertionError(constant)

    measurements = json.loads(capsys.readouterr().out, parse_constant=strange)["odd"]["measurements"]
    assert {name: each["value"] for name, each in measurements.items()} == {"a": None, "b": None, "c": 1}


def test_check_leaves_disabled_checks_out_of_its_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(tmp_path, f"dead: {{kind: tcp, host: 127.0.0.1, port: {unused_port()}, enabled: false}}")
    assert main(["check", "-c", str(file)]) == 0
    assert re.search(r"^off +dead", capsys.readouterr().out, re.MULTILINE)


def test_a_changed_file_takes_effect(tmp_path: Path) -> None:
    with running(tmp_path, "-c", str(write(tmp_path))) as (_, url):
        write(tmp_path, "more: {kind: load}")
        eventually(lambda: set(get_json(f"{url}/health/detailed")["checks"]) == {"load", "more"})


def test_a_check_that_ignores_its_cancellation_does_not_keep_the_process(tmp_path: Path) -> None:
    (tmp_path / "stubborn.py").write_text(
        "import asyncio\nasync def check():\n  while True:\n"
        "    try: await asyncio.sleep(3600)\n    except asyncio.CancelledError: pass\n"
    )
    file = write(tmp_path, 'stubborn: {kind: python, call: "stubborn:check", every: 100ms}')
    with running(tmp_path, "-c", str(file)) as (process, url):
        eventually(lambda: get_json(f"{url}/health/checks/stubborn")["running"])
        process.terminate()
        assert process.wait(timeout=30) == 0


BLOCKING = """
import time
from pathlib import Path
from opentelemetry import trace

async def check():
    trace.get_tracer("blocking").start_span("made before").end()
    Path("ran").touch()
    {blocks}
"""


@pytest.mark.parametrize("blocks", ["time.sleep(1000)", "while True: pass"])
def test_a_check_that_blocks_the_event_loop_does_not_keep_the_process_and_nothing_is_lost(
    tmp_path: Path, receiver: Receiver, blocks: str
) -> None:
    receiver.down()
    (tmp_path / "blocking.py").write_text(BLOCKING.format(blocks=blocks))
    file = tmp_path / "otelhealth.yaml"
    told = {
        "server": {"listen": "127.0.0.1:0"},
        "store": {"path": str(tmp_path / "store.db")},
        "telemetry": {"otlp": {"endpoint": receiver.endpoint}, "traces": {"delay": "1m"}},
    }
    file.write_text(json.dumps(told | {"checks": {"blocking": {"kind": "python", "call": "blocking:check"}}}))
    with running(tmp_path, "-c", str(file)) as (process, _):
        eventually((tmp_path / "ran").exists)
        process.terminate()
        _, said = process.communicate(timeout=30)  # 1000 s, did it wait for the check
        assert process.returncode == 0, said
        assert "the agent did not come to its end within 3.7 s: what it has is kept" in said
    receiver.up()
    file.write_text(json.dumps(told | {"checks": {}}))
    with running(tmp_path, "-c", str(file)):
        eventually(lambda: "made before" in {span.name for span in receiver.spans()})


@contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """With the block, by SIGTERM and with 0; killed where the block fails."""
    try:
        yield
        process.terminate()
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()


def test_run_does_without_standard_streams(tmp_path: Path) -> None:
    port = unused_port()
    file = tmp_path / "otelhealth.yaml"
    file.write_text(f'server: {{listen: "127.0.0.1:{port}"}}\nstore: {{path: ":memory:"}}\nchecks: {{}}\n')
    command = f"exec {sys.executable} -m otelhealth run -c {file} <&- >&- 2>&-"
    with ended(subprocess.Popen(["sh", "-c", command])):
        eventually(lambda: answers(f"http://127.0.0.1:{port}/health/live"))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_banner_that_cannot_be_written_does_not_end_the_agent(tmp_path: Path) -> None:
    file = write(tmp_path, 'told: {kind: python, call: "told:check", every: 100ms}')
    (tmp_path / "told.py").write_text(f"def check(): open({str(tmp_path / 'ran')!r}, 'w').close()")
    with Path("/dev/full").open("w") as full:
        process = subprocess.Popen([sys.executable, "-m", "otelhealth", "run", "-c", str(file)], stdout=full)
    with ended(process):
        eventually((tmp_path / "ran").exists)


def test_a_working_directory_that_is_gone_is_said(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    command = f"rmdir {gone}; exec {sys.executable} -m otelhealth validate"
    ended = subprocess.run(["sh", "-c", command], cwd=gone, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "otelhealth: the working directory is no longer there; change to one that is\n"


INTERRUPTED = """
import os, sys
from otelhealth.cli.main import main

class Finder:
    def find_spec(self, *_):
        if module in sys.modules and self in sys.meta_path:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), int(number))

number, module, *command = sys.argv[1:]
sys.meta_path.insert(0, Finder())
sys.exit(main(command))
"""


@contextmanager
def starting(folder: Path, command: list[str], module: str, number: int) -> Iterator[subprocess.Popen[bytes]]:
    """A start that is sent a signal at the import that follows that of `module`; it never ends with a traceback."""
    line = [sys.executable, "-c", INTERRUPTED, str(int(number)), module, *command]
    said = folder / "said"
    with said.open("w") as stream:
        process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=stream, cwd=folder)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert "Traceback" not in said.read_text()


@pytest.mark.parametrize("module", ["otelhealth.errors", "otelhealth.cli.hosting"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 128 + signal.SIGINT), (signal.SIGTERM, 0)])
def test_a_signal_before_it_runs_ends_it_without_a_traceback(
    tmp_path: Path, module: str, number: int, code: int
) -> None:
    write(tmp_path)
    with starting(tmp_path, ["run"], module, number) as process:
        assert process.wait(timeout=60) == code


def test_a_signal_while_a_dataclass_is_made_ends_it_with_a_code_too(tmp_path: Path) -> None:
    """As all that it runs by `exec`."""
    (tmp_path / "interrupted.py").write_text(
        "import signal, sys\nfrom otelhealth.cli import early\n"
        "try:\n    with early.minding():\n        exec('signal.raise_signal(signal.SIGINT)')\n"
        "except KeyboardInterrupt:\n    sys.exit(7)\n"
    )
    ended = subprocess.run([sys.executable, "-m", "interrupted"], cwd=tmp_path, check=False)
    assert ended.returncode == 7


def test_a_hangup_while_it_starts_is_a_reload_once_it_runs(tmp_path: Path) -> None:
    write(tmp_path)
    with starting(tmp_path, ["run"], "otelhealth.errors", signal.SIGHUP) as process:
        eventually(lambda: "the configuration was read again" in (tmp_path / "said").read_text())
        process.terminate()
        assert process.wait(timeout=60) == 0


def test_a_signal_before_exec_runs_ends_it_as_one_while_it_waits_for_the_agent(tmp_path: Path) -> None:
    with starting(tmp_path, ["exec", "touch", "ran"], "otelhealth.supervise.signals", signal.SIGTERM) as process:
        assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert not (tmp_path / "ran").exists()
