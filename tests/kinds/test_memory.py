from __future__ import annotations

import sys
from pathlib import Path

import pytest

from otelhealth.kinds.memory import MemoryCheck
from otelhealth.model import Status
from tests.kinds.runs import Runs, figures
from tests.machine import GIB, Machine


async def test_this_machine_has_memory_in_use_and_its_states_make_up_the_limit() -> None:
    result = await Runs()(MemoryCheck(name="memory"))
    seen = figures(result)
    assert 0 < seen["utilization"] < 1
    assert seen["usage[used]"] + seen["usage[cached]"] + seen["usage[free]"] == seen["limit"]
    assert "memory" in result.message


async def test_the_host_is_told_with_its_swap_and_its_pressure(tmp_path: Path) -> None:
    Machine(tmp_path)
    result = await Runs()(MemoryCheck(name="memory", root=str(tmp_path)))
    assert (result.status, result.message) == (Status.PASS, "memory 25% used (2GiB of 8GiB, swap 50%)")
    seen = figures(result)
    assert (seen["swap.utilization"], seen["swap.usage[used]"], seen["swap.usage[free]"]) == (0.5, GIB, GIB)
    assert (seen["pressure"], seen["pressure.full"], seen["oom_kills"]) == (0.25, 0.05, 3)


async def test_a_container_is_judged_against_its_limit(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.limit("/pod/app", GIB, current=round(0.99 * GIB))
    machine.group("/pod/app", memory_high=str(GIB // 2))
    result = await Runs()(MemoryCheck(name="memory", root=str(tmp_path)))
    assert (result.status, result.error_type) == (Status.FAIL, "level_exceeded")
    assert "memory 99% used (1014MiB of the container's 1GiB, slowed down above 512MiB)" in result.message
    assert figures(result)["limit"] == GIB
    assert figures(result)["pressure"] == 0.1
    assert "swap.utilization" not in figures(result)


async def test_a_kill_for_want_of_memory_is_a_warning_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    check, run = MemoryCheck(name="memory", root=str(tmp_path)), Runs()
    machine.limit("/pod/app", GIB, current=GIB // 2, oom_kills=1)
    first = await run(check)
    machine.limit("/pod/app", GIB, current=GIB // 2, oom_kills=3)
    second, third = await run(check), await run(check)
    assert [each.status for each in (first, second, third)] == [Status.PASS, Status.WARN, Status.PASS]
    assert second.error_type == "oom_kill"
    assert second.message.startswith("the kernel killed 2 processes for want of memory; memory 50% used")
    assert figures(third)["oom_kills"] == 3


async def test_a_kill_elsewhere_on_the_host_is_a_warning_too(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    check, run = MemoryCheck(name="memory", root=str(tmp_path)), Runs()
    await run(check)
    machine.write("proc/vmstat", "nr_free_pages 1\noom_kill 4\n")
    assert (await run(check)).message.startswith("the kernel killed a process for want of memory")


@pytest.mark.skipif(sys.platform != "linux", reason="swap and OOM kills of /proc, which only Linux has")
async def test_a_kernel_that_counts_no_kills_is_no_trouble(tmp_path: Path) -> None:
    Machine(tmp_path).write("proc/vmstat", "nr_free_pages 1\n")
    assert "oom_kills" not in figures(await Runs()(MemoryCheck(name="memory", root=str(tmp_path))))
