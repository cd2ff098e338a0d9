from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from otelhealth.kinds.disk import DiskCheck
from otelhealth.model import Status
from otelhealth.units import size_text
from tests.kinds.runs import Runs, figures
from tests.machine import ROOT_MOUNT, Machine

ANY = {"utilization": {"fail": "> 100%"}, "inodes.utilization": {"fail": "> 100%"}}


def disk(root: Path, **fields: object) -> DiskCheck:
    return DiskCheck.model_validate({"name": "disk", "root": str(root), "levels": ANY, **fields})


async def test_the_local_disks_of_this_machine_are_shown_as_df_shows_them() -> None:
    result = await Runs()(DiskCheck.model_validate({"name": "disk", "levels": ANY}))
    seen, shown = figures(result), shutil.disk_usage("/")
    assert seen["limit[/]"] == shown.total
    assert seen["usage[/,used]"] + seen["usage[/,free]"] + seen["usage[/,reserved]"] == shown.total
    assert "full" in result.message
    assert "free" in result.message


async def test_the_sentence_names_the_fullest_disk_and_what_is_left(tmp_path: Path) -> None:
    Machine(tmp_path)
    result = await Runs()(disk(tmp_path))
    share, free = figures(result)["utilization[/]"], figures(result)["usage[/,free]"]
    assert result.message == f"/ is {share:.0%} full ({size_text(free)} free)"
    assert result.details["/"] == {"device": "/dev/vda", "type": "ext4"}


async def test_a_level_makes_a_full_disk_fail_by_name(tmp_path: Path) -> None:
    Machine(tmp_path)
    result = await Runs()(disk(tmp_path, levels={"utilization": {"fail": ">= 0%"}}))
    assert result.status is Status.FAIL
    assert result.message.startswith("utilization[/] is ")


async def test_a_disk_that_became_read_only_fails_until_it_can_be_written_again(tmp_path: Path) -> None:
    machine, run, check = Machine(tmp_path), Runs(), disk(tmp_path)
    frozen = ROOT_MOUNT.replace(" rw,relatime", " ro,relatime").replace("rw,discard", "ro")
    results = []
    for line in (ROOT_MOUNT, frozen, frozen, ROOT_MOUNT):
        machine.mounts(line)
        results.append(await run(check))
    assert [each.status.value for each in results] == ["pass", "fail", "fail", "pass"]
    assert results[1].error_type == "read_only"
    assert results[1].message == "/ became read-only; see the kernel's log (dmesg) for I/O errors"


async def test_a_disk_mounted_read_only_is_as_it_should_be(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.mounts(ROOT_MOUNT.replace(" rw,relatime", " ro,relatime").replace("rw,discard", "ro"))
    assert (await Runs()(disk(tmp_path))).status is Status.PASS


async def test_a_disk_that_the_kernel_froze_before_the_agent_started_fails_at_once(tmp_path: Path) -> None:
    Machine(tmp_path).mounts(ROOT_MOUNT.replace("rw,discard", "ro,errors=remount-ro"))
    assert (await Runs()(disk(tmp_path))).error_type == "read_only"


async def test_a_mount_asked_for_that_is_not_mounted_fails(tmp_path: Path) -> None:
    (tmp_path / "backup").mkdir()
    Machine(tmp_path)
    result = await Runs()(disk(tmp_path, mounts=["/", "/backup"]))
    assert (result.status, result.error_type) == (Status.FAIL, "not_mounted")
    assert result.message == "nothing is mounted on /backup"


async def test_a_mount_asked_for_that_does_not_answer_fails(tmp_path: Path) -> None:
    Machine(tmp_path).mounts(ROOT_MOUNT, "30 27 254:1 / /data rw - xfs /dev/vdb rw")
    result = await Runs()(disk(tmp_path, mounts=["/", "/data"]))
    assert (result.status, result.error_type) == (Status.FAIL, "mount_unusable")
    assert result.message == "/data cannot be asked: No such file or directory"


async def test_any_mount_may_be_asked_for_by_name_and_one_that_may_hang_is_seen_in_a_thread(tmp_path: Path) -> None:
    (tmp_path / "mnt").mkdir()
    Machine(tmp_path).mounts(ROOT_MOUNT, "30 27 0:77 / /mnt rw - nfs4 server:/x rw")
    seen = figures(await Runs()(disk(tmp_path, mounts=["/mnt"])))
    assert "utilization[/mnt]" in seen
    assert "utilization[/]" not in seen


async def test_excluded_mounts_are_left_out_by_pattern(tmp_path: Path) -> None:
    for name in ("data1", "data2", "keep"):
        (tmp_path / name).mkdir()
    lines = [f"3{n} 27 254:{n} / /{name} rw - xfs /dev/v{n} rw" for n, name in enumerate(("data1", "data2", "keep"), 1)]
    Machine(tmp_path).mounts(ROOT_MOUNT, *lines)
    seen = figures(await Runs()(disk(tmp_path, exclude=["/data*", "/"])))
    assert [key for key in seen if key.startswith("utilization")] == ["utilization[/keep]"]


async def test_transfers_are_told_on_request(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.write("proc/diskstats", " 7 0 loop0 1 0 9 0 0 0 0 0\n 254 0 vda 10 0 200 5 30 0 400 7 0 0 0\n")
    seen = figures(await Runs()(disk(tmp_path, io=True)))
    assert (seen["io[vda,read]"], seen["io[vda,write]"]) == (200 * 512, 400 * 512)
    assert (seen["operations[vda,read]"], seen["operations[vda,write]"]) == (10, 30)
    assert not [key for key in seen if "loop0" in key]
    assert "io[vda,read]" not in figures(await Runs()(disk(tmp_path)))


@pytest.mark.parametrize("exclude", [["*"]])
async def test_without_a_disk_there_is_nothing_to_complain_of(exclude: list[str], tmp_path: Path) -> None:
    Machine(tmp_path)
    result = await Runs()(disk(tmp_path, exclude=exclude))
    assert (result.status, result.message) == (Status.PASS, "no local disk is mounted")
