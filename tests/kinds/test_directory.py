from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from otelhealth.clock import ManualClock
from otelhealth.kinds.directory import DirectoryCheck
from otelhealth.model import CheckResult, Status
from tests.kinds.runs import Runs, figures

NOW = 1_700_000_000.0


async def look(path: Path, **fields: object) -> CheckResult:
    check = DirectoryCheck.model_validate({"name": "spool", "path": str(path), **fields})
    return await Runs(ManualClock(NOW))(check)


def put(path: Path, size: int, age: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (NOW - age, NOW - age))


async def test_files_are_counted_with_their_bytes_and_ages(tmp_path: Path) -> None:
    put(tmp_path / "a.log", 1000, 90)
    put(tmp_path / "b.txt", 24, 3600)
    put(tmp_path / "below/c.log", 500, 5)
    result = await look(tmp_path)
    seen = figures(result)
    assert (seen["files"], seen["size"], seen["age.newest"], seen["age.oldest"]) == (2, 1024, 90, 3600)
    assert seen["free"] > 0
    assert result.message == f"{tmp_path} holds 2 files (1KiB), the newest 1m30s old"


async def test_directories_below_are_looked_at_when_asked_for(tmp_path: Path) -> None:
    put(tmp_path / "a.log", 1000, 90)
    put(tmp_path / "below/deep/c.log", 500, 5)
    seen = figures(await look(tmp_path, recursive=True))
    assert (seen["files"], seen["size"], seen["age.newest"]) == (2, 1500, 5)


async def test_only_names_of_the_pattern_count(tmp_path: Path) -> None:
    put(tmp_path / "a.log", 1000, 90)
    put(tmp_path / "b.txt", 24, 3600)
    assert figures(await look(tmp_path, pattern="*.txt"))["files"] == 1


async def test_counting_stops_at_the_bound_and_says_so(tmp_path: Path) -> None:
    for number in range(5):
        put(tmp_path / str(number), 1, 1)
    result = await look(tmp_path, max_files=3)
    assert figures(result)["files"] == 3
    assert "holds at least 3 files" in result.message
    assert result.details == {"complete": False}
    assert (await look(tmp_path, max_files=5)).details == {"complete": True}


async def test_a_link_in_a_circle_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to(tmp_path)
    assert figures(await look(tmp_path, recursive=True))["files"] == 1


async def test_an_empty_directory_has_no_ages(tmp_path: Path) -> None:
    result = await look(tmp_path)
    assert (result.status, result.message) == (Status.PASS, f"{tmp_path} holds no file")
    assert "age.newest" not in figures(result)


@pytest.mark.parametrize(
    ("ranges", "status"),
    [
        ({"warn": "> 1h", "fail": "> 25h"}, Status.FAIL),
        ({"warn": "> 1h"}, Status.WARN),
        ({"fail": "< 1m"}, Status.PASS),
    ],
)
async def test_without_a_file_none_is_new_enough(tmp_path: Path, ranges: dict[str, str], status: Status) -> None:
    (tmp_path / "notes.txt").touch()
    result = await look(tmp_path, pattern="*.dump", levels={"age.newest": ranges})
    assert result.status is status
    assert result.message.startswith(f"{tmp_path} holds no file called *.dump")
    assert ("none is new enough" in result.message) is (status is not Status.PASS)


async def test_a_level_on_the_oldest_file_finds_a_stuck_queue(tmp_path: Path) -> None:
    put(tmp_path / "job", 1, 7200)
    result = await look(tmp_path, levels={"age.oldest": {"fail": "> 1h"}})
    assert result.status is Status.FAIL
    assert result.message.startswith("age.oldest is 2h, fail at > 1h")


async def test_what_is_no_directory_fails_by_its_reason(tmp_path: Path) -> None:
    put(tmp_path / "file", 1, 1)
    missing, file = await look(tmp_path / "none"), await look(tmp_path / "file")
    assert (missing.status, missing.error_type) == (Status.FAIL, "not_found")
    assert missing.message == f"{tmp_path}/none: No such file or directory"
    assert file.error_type == "not_a_directory"


async def test_permissions_that_differ_fail(tmp_path: Path) -> None:
    place = tmp_path / "private"
    place.mkdir()
    place.chmod(0o755)
    result = await look(place, mode="0750")
    assert (result.error_type, result.message) == ("wrong_mode", f"{place} has the permissions 0755, not 0750")
    assert (await look(place, mode="755")).status is Status.PASS


async def test_writing_is_tried_without_a_trace(tmp_path: Path) -> None:
    assert (await look(tmp_path, writable=True)).status is Status.PASS
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="/proc, where nobody may create a file, is Linux's")
async def test_a_directory_that_cannot_be_written_fails() -> None:
    result = await look(Path("/proc/self/task"), writable=True)
    assert result.status is Status.FAIL
    assert result.error_type is not None
    assert result.message.startswith("/proc/self/task cannot be written: ")
