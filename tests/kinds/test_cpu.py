from __future__ import annotations

from pathlib import Path

import pytest

from otelhealth.clock import ManualClock
from otelhealth.kinds.cpu import CpuCheck
from otelhealth.model import Status
from tests.kinds.runs import Runs, figures
from tests.machine import Machine


async def test_the_first_run_looks_for_a_moment_and_gives_a_share_of_this_machine() -> None:
    seen = figures(await Runs()(CpuCheck(name="cpu", scope="host")))
    assert 0 <= seen["utilization"] <= 1
    assert seen["time[user]"] > 0


async def test_later_runs_give_the_share_since_the_run_before(tmp_path: Path) -> None:
    machine, clock = Machine(tmp_path), ManualClock()
    check, run = CpuCheck(name="cpu", root=str(tmp_path)), Runs(clock)
    await run(check)
    machine.cpu(user=19, idle=1)
    clock.advance(5)
    result = await run(check)
    assert figures(result)["utilization"] == pytest.approx(0.95)
    assert figures(result)["time[user]"] == 19.0
    assert figures(result)["cores"] == 4
    assert figures(result)["pressure"] == 0.25
    assert result.status is Status.WARN
    assert result.message == "utilization is 95%, warn at > 90% (CPU 95% busy (4 cores))"


async def test_a_container_is_judged_by_its_quota_and_says_when_it_is_held_back(tmp_path: Path) -> None:
    machine, clock = Machine(tmp_path), ManualClock()
    machine.quota("/pod/app", 0.5, used=10, periods=100, throttled=0)
    check, run = CpuCheck(name="cpu", root=str(tmp_path)), Runs(clock)
    await run(check)
    clock.advance(10)
    machine.quota("/pod/app", 0.5, used=14, periods=200, throttled=20)
    result = await run(check)
    seen = figures(result)
    assert seen["utilization"] == pytest.approx(0.8)
    assert (seen["throttled"], seen["throttled.time"], seen["pressure"]) == (0.2, 1.0, 0.4)
    assert result.message == "CPU 80% of the container's 0.5 cores, held back by its quota in 20% of the time slices"
    assert result.details == {"scope": "container"}
    assert "time[idle]" not in seen


async def test_with_scope_host_the_quota_does_not_matter(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.quota("/pod/app", 0.5)
    result = await Runs()(CpuCheck(name="cpu", root=str(tmp_path), scope="host"))
    assert result.details == {"scope": "host"}


async def test_a_quota_that_comes_while_the_agent_runs_starts_a_new_interval(tmp_path: Path) -> None:
    machine, clock = Machine(tmp_path), ManualClock()
    machine.group("/pod/app", cpu_max="max 100000")
    check, run = CpuCheck(name="cpu", root=str(tmp_path)), Runs(clock)
    await run(check)
    clock.advance(10)
    machine.quota("/pod/app", 0.5, used=1000)
    result = await run(check)
    assert figures(result)["utilization"] == 0.0
    assert result.details == {"scope": "container"}
