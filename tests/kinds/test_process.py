from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from otelhealth.kinds.process import ProcessCheck
from otelhealth.model import Status
from tests.kinds.runs import Runs, figures

Child = subprocess.Popen[str]


class Children:
    """Processes of one name, which nothing else on this machine has."""

    def __init__(self, folder: Path) -> None:
        self.name = f"hc{uuid.uuid4().hex[:10]}"
        self.started: list[Child] = []
        self._program = folder / self.name
        self._program.symlink_to(sys.executable)

    def start(self, code: str = "") -> Child:
        """A child that has said that it runs; it ends with its input."""
        program = f"{code}\nimport sys; print('up', flush=True); sys.stdin.read()"
        child = subprocess.Popen(
            [str(self._program), "-c", program],
            executable=str(self._program),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.started.append(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        return child

    def end(self, child: Child) -> None:
        child.kill()
        child.communicate()


@pytest.fixture
def children(tmp_path: Path) -> Iterator[Children]:
    group = Children(tmp_path)
    yield group
    for child in group.started:
        group.end(child)


async def test_a_process_is_told_by_its_pid_with_what_it_uses(children: Children) -> None:
    child = children.start("import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()")
    result = await Runs()(ProcessCheck(name="p", pid=child.pid))
    seen = figures(result)
    assert result.status is Status.PASS
    assert (seen["count"], seen["threads"], seen["restarts"]) == (1, 2, 0)
    assert seen["rss"] > 1 << 20
    assert seen["fds"] >= 3
    assert 0 <= seen["age"] < 600
    assert result.message.startswith("running for ")
    assert str(child.pid) not in str([measurement.attributes for measurement in result.measurements])


async def test_cpu_is_the_share_of_all_cores_since_the_run_before() -> None:
    run, check = Runs(), ProcessCheck(name="p", pid=os.getpid())
    before = figures(await run(check))
    while sum(psutil.Process().cpu_times()[:2]) < before["cpu.time[user]"] + before["cpu.time[system]"] + 0.2:
        await asyncio.sleep(0)
    seen = figures(await run(check))
    assert 0 < seen["cpu"] <= 1
    assert seen["cpu.time[user]"] >= before["cpu.time[user]"]


async def test_a_process_that_is_gone_fails(children: Children) -> None:
    child = children.start()
    run, check = Runs(), ProcessCheck(name="p", pid=child.pid)
    assert (await run(check)).status is Status.PASS
    children.end(child)
    result = await run(check)
    assert (result.status, result.error_type) == (Status.FAIL, "process_not_found")
    assert result.message == f"no process {child.pid} runs"


async def test_a_dead_process_that_its_parent_has_not_collected_does_not_run(children: Children) -> None:
    child = children.start()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert (await Runs()(ProcessCheck(name="p", pid=child.pid))).error_type == "process_not_found"


async def test_another_process_in_the_pidfile_is_a_restart(children: Children, tmp_path: Path) -> None:
    first, second = children.start(), children.start()
    pidfile = tmp_path / "service.pid"
    run, check = Runs(), ProcessCheck(name="p", pidfile=str(pidfile))
    pidfile.write_text(f"{first.pid}\n")
    before = figures(await run(check))
    pidfile.write_text(f"{second.pid}\n")
    after, again = figures(await run(check)), figures(await run(check))
    assert (before["restarts"], after["restarts"], again["restarts"]) == (0, 1, 1)
    assert after["cpu.time[user]"] >= before["cpu.time[user]"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [(None, "cannot be read: No such file or directory"), ("", "holds no process id"), ("-5", "holds no process id")],
)
async def test_a_pidfile_that_names_nothing_fails(text: str | None, sentence: str, tmp_path: Path) -> None:
    pidfile = tmp_path / "service.pid"
    if text is not None:
        pidfile.write_text(text)
    result = await Runs()(ProcessCheck(name="p", pidfile=str(pidfile)))
    assert (result.error_type, result.message) == ("process_not_found", f"{pidfile} {sentence}")


async def test_all_processes_of_a_name_count_together(children: Children) -> None:
    children.start()
    last = children.start()
    run, check = Runs(), ProcessCheck(name="p", process=children.name)
    both = await run(check)
    assert figures(both)["count"] == 2
    assert both.message.startswith("2 processes, the oldest for ")
    children.end(last)
    one = figures(await run(check))
    assert (one["count"], one["restarts"]) == (1, 0)
    assert one["cpu.time[user]"] >= figures(both)["cpu.time[user]"]


async def test_a_name_that_nothing_has_fails(children: Children) -> None:
    result = await Runs()(ProcessCheck(name="p", process=children.name))
    assert (result.error_type, result.message) == ("process_not_found", f"no process is called {children.name}")


@pytest.mark.parametrize("fields", [{}, {"pid": 1, "process": "init"}])
def test_a_process_is_named_in_exactly_one_way(fields: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match="give exactly one of `pid`, `pidfile`, `process`"):
        ProcessCheck.model_validate({"name": "p", **fields})
