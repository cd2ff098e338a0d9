from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time

import pytest

from otelhealth.checks.processes import WatchedChild
from otelhealth.kinds.child import ChildCheck
from otelhealth.model import ServiceProcess, Status, Surroundings
from tests.kinds.runs import Runs, figures


def about(**told: object) -> ServiceProcess:
    return ServiceProcess(command="shop", started=time.time() - 100)._replace(**told)  # type: ignore[arg-type]  # any of its fields


async def run(process: ServiceProcess | None, check: ChildCheck | None = None) -> tuple[Status, str | None, str]:
    runs = Runs(around=Surroundings(None, child=WatchedChild(process) if process else None))
    result = await runs(check or ChildCheck(name="child"))
    return result.status, result.error_type, result.message


async def test_a_running_command_passes_with_what_its_whole_tree_uses() -> None:
    nested = (
        "import subprocess, sys; p = subprocess.Popen([sys.executable, '-c', 'input()'])\n"
        "print('up', flush=True); p.wait()"
    )
    with subprocess.Popen([sys.executable, "-c", nested], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        runs = Runs(around=Surroundings(None, child=WatchedChild(about(state="running", pid=child.pid))))
        result = await runs(ChildCheck(name="child"))
        seen = figures(result)
        assert (result.status, seen["processes"], seen["restarts"]) == (Status.PASS, 2, 0)
        assert seen["rss"] > 4 << 20
        assert seen["threads"] >= 2
        assert seen["fds"] >= 6
        assert 99 < seen["age"] < 200
        assert result.message.startswith("shop runs for 1m40s in 2 processes, ")
        child.communicate()


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"state": "starting"}, (Status.WARN, "starting", "is about to start")),
        ({"state": "stopping", "pid": os.getpid()}, (Status.WARN, "stopping", "shop was asked to end")),
        ({"state": "stopping"}, (Status.WARN, "stopping", "shop was asked to end")),
        (
            {"state": "restarting", "exit_code": 3, "restarts": 1},
            (Status.FAIL, "restarting", "shop has ended with 3, and starts again soon"),
        ),
        ({"state": "exited", "exit_code": 137}, (Status.FAIL, "exited", "shop has ended with 137")),
        ({"state": "exited", "exit_code": 0}, (Status.WARN, "exited", "shop has ended with 0")),
        ({"state": "running"}, (Status.FAIL, "exited", "shop does not run")),
    ],
)
async def test_a_command_that_does_not_simply_run_is_told_as_what_it_is(
    told: dict[str, object], expected: tuple[Status, str, str]
) -> None:
    assert await run(about(**told)) == expected


async def test_how_a_command_ended_is_waited_for_where_it_is_gone_before_that_is_told() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    child = WatchedChild(about(state="running", pid=gone.pid))
    told = about(state="exited", exit_code=3)
    asyncio.get_running_loop().call_later(0.1, setattr, child, "process", told)
    result = await Runs(around=Surroundings(None, child=child))(ChildCheck(name="child"))
    assert (result.status, result.message) == (Status.FAIL, "shop has ended with 3")
    assert await run(about(state="running", pid=gone.pid)) == (Status.FAIL, "exited", "shop does not run")


async def test_one_that_was_restarted_warns_until_it_has_run_for_a_while() -> None:
    process = about(state="running", pid=os.getpid(), restarts=2, exit_code=1)
    status, error_type, message = await run(process, ChildCheck(name="child", settled="10m"))
    assert (status, error_type) == (Status.WARN, "restarted")
    assert message.endswith("; it ended with 1 before")
    assert (await run(process))[0] is Status.PASS


async def test_outside_exec_it_is_unknown() -> None:
    status, error_type, message = await run(None)
    assert (status, error_type) == (Status.UNKNOWN, "LookupError")
    assert "works under `otelhealth exec`" in message
