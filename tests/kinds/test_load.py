from __future__ import annotations

import os
from pathlib import Path

from otelhealth.kinds.load import LoadCheck
from otelhealth.model import Status
from tests.kinds.runs import Runs, figures
from tests.machine import Machine


async def test_the_load_of_1_5_and_15_minutes_is_told_whole_and_per_core(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("6.00 4.00 2.00 3/400 999\n")
    result = await Runs()(LoadCheck(name="load", root=str(tmp_path)))
    seen, cores = figures(result), os.cpu_count() or 1
    assert (seen["load[1m]"], seen["load[5m]"], seen["load[15m]"]) == (6.0, 4.0, 2.0)
    assert seen["per_core[1m]"] == 6.0 / cores
    assert result.message == f"load 6.00 4.00 2.00 on {cores} cores"


async def test_a_level_may_speak_of_one_period(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/loadavg").write_text("6.00 4.00 2.00 3/400 999\n")
    levels = {"load[15m]": {"warn": "> 1"}}
    result = await Runs()(LoadCheck.model_validate({"name": "load", "root": str(tmp_path), "levels": levels}))
    assert result.status is Status.WARN
    assert result.message.startswith("load[15m] is 2, warn at > 1")


async def test_this_machine_has_a_load_with_and_without_the_kernels_file(tmp_path: Path) -> None:
    Machine(tmp_path)
    here, elsewhere = await Runs()(LoadCheck(name="load")), await Runs()(LoadCheck(name="load", root=str(tmp_path)))
    assert set(figures(here)) == set(figures(elsewhere))
    assert here.status is elsewhere.status is Status.PASS
