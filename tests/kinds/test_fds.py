from __future__ import annotations

import os
from pathlib import Path

from otelhealth.kinds.fds import FdsCheck
from otelhealth.model import Status
from tests.kinds.runs import Runs, figures
from tests.machine import Machine


async def test_a_file_opened_here_is_one_more_of_this_process() -> None:
    run, check = Runs(), FdsCheck(name="fds")
    before = figures(await run(check))["own"]
    handles = [os.open("/dev/null", os.O_RDONLY) for _ in range(50)]
    during = figures(await run(check))["own"]
    for handle in handles:
        os.close(handle)
    assert (during - before, figures(await run(check))["own"] - before) == (50, 0)


async def test_the_kernels_maximum_is_judged(tmp_path: Path) -> None:
    place = tmp_path / "proc/sys/fs/file-nr"
    place.parent.mkdir(parents=True)
    place.write_text("970\t0\t1000\n")
    result = await Runs()(FdsCheck(name="fds", root=str(tmp_path)))
    assert result.status is Status.FAIL
    assert figures(result)["utilization"] == 0.97
    assert "970 files open on the machine (97% of its maximum)" in result.message


async def test_without_a_kernels_count_only_the_own_ones_are_told(tmp_path: Path) -> None:
    Machine(tmp_path)
    result = await Runs()(FdsCheck(name="fds", root=str(tmp_path)))
    assert result.status is Status.PASS
    assert "allocated" not in figures(result)
    assert figures(result)["own"] > 0
