from __future__ import annotations

import asyncio
import logging
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from otelhealth.clock import ManualClock
from otelhealth.errors import OtelHealthError
from otelhealth.model import CheckResult, StateChange, Status
from otelhealth.store import Keep, Store, StoreSettings, default_path, writer
from otelhealth.store.backlog import MOST_RUNS
from otelhealth.store.writer import LATEST
from tests.disk import full
from tests.waiting import until

NOW = 1_700_000_000.0


def run(started: float = NOW, status: str = "pass", name: str = "db", message: str = "fine") -> CheckResult:
    kind = None if status == "pass" else "refused"
    return CheckResult(Status(status), message, kind, name=name, started=started, duration=0.0125, trace_id="ab" * 16)


def change(at: float = NOW, status: str = "fail") -> StateChange:
    return StateChange("db", Status.PASS, Status(status), at - 60, at, "it fell", "refused", "ab" * 16)


@asynccontextmanager
async def opened(path: Path | str, **settings: Any) -> AsyncIterator[Store]:
    store = Store(path, **({"clock": ManualClock(NOW)} | settings))
    store.open()
    try:
        yield store
    finally:
        await store.close()


def rows(path: Path, query: str) -> list[Any]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


@pytest.mark.parametrize("where", ["file", ":memory:"])
async def test_history_gives_runs_and_changes_newest_first(tmp_path: Path, where: str) -> None:
    async with opened(tmp_path / "s.db" if where == "file" else where) as store:
        for number in range(250):
            store.run(run(NOW + number, "fail" if number % 10 == 0 else "pass"))
            store.run(run(NOW + number, name="other"))
        store.change(change(NOW + 5))
        store.change(change(NOW + 9, "pass"))
        await until(lambda: store.queued == 0)
        history = await store.history("db", NOW + 200, 30)
        assert [one["started"] for one in history["runs"]] == [NOW + 249 - number for number in range(30)]
        assert history["runs"][-1] == {
            "started": NOW + 220,
            "status": "fail",
            "duration_ms": 12,
            "message": "fine",
            "error_type": "refused",
            "trace_id": "ab" * 16,
        }
        assert history["changes"] == []
        changes = (await store.history("db", 0, 10))["changes"]
        assert changes == [
            {"at": NOW + 9, "since": NOW - 51, "previous": "pass", "status": "pass", "message": "it fell"},
            {"at": NOW + 5, "since": NOW - 55, "previous": "pass", "status": "fail", "message": "it fell"},
        ]
        strange = await store.history("strange", 0, 10)
        assert (strange["name"], strange["runs"], strange["changes"]) == ("strange", [], [])


async def test_states_and_counters_survive_a_restart(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.db") as store:
        store.run(run(), {"status": "pass", "n": 1})
        store.run(run(), {"status": "pass", "n": 2})
        store.change(change())
        store.state("db", {"status": "fail", "n": 3})
        store.state("api", {"status": "warn"})
        store.counter("errors", [1, 2])
        store.counter("errors", [1, 2, 3])
    again = Store(tmp_path / "s.db", clock=ManualClock(NOW))
    assert again.open() == ({"db": {"status": "fail", "n": 3}, "api": {"status": "warn"}}, {"errors": [1, 2, 3]})
    await again.close()


async def test_what_is_no_json_is_left_out_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(tmp_path / "s.db") as store:
        store.state("odd", {"details": {("a", "b"): 1}})
        store.state("path", {"details": tmp_path})
        store.run(run(message="undecodable \udcff"))
    assert "what is to be kept of odd is not JSON" in caplog.text
    assert rows(tmp_path / "s.db", "SELECT name FROM states") == [("path",)]
    assert rows(tmp_path / "s.db", "SELECT message FROM runs") == [("undecodable ?",)]


async def test_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "s.db"
    async with opened(path) as store:
        store.run(run())
        await store.history("db", 0, 1)
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


async def test_two_processes_on_one_file_are_refused_with_the_remedy(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.db"):
        with pytest.raises(OtelHealthError) as caught:
            Store(tmp_path / "s.db").open()
    assert str(caught.value) == (
        f"the store {tmp_path}/s.db is used by another otelhealth process (pid {os.getpid()}); "
        "stop that one, or give this one its own `store.path` or `service.name`"
    )
    async with opened(tmp_path / "s.db"):
        pass


async def test_a_store_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OtelHealthError, match=r"cannot be made or used: File exists; make its folder writable"):
        Store(tmp_path / "file" / "s.db").open()


async def test_a_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.db"):
        pass
    rows(tmp_path / "s.db", "PRAGMA user_version = 99")
    with pytest.raises(OtelHealthError, match="written by a newer otelhealth"):
        Store(tmp_path / "s.db").open()


async def test_a_file_that_is_no_database_is_moved_aside_loudly(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.db"
    path.write_bytes(b"not a database at all, but long enough to be looked at" * 100)
    async with opened(path) as store:
        store.run(run())
        assert (await store.history("db", 0, 1))["name"] == "db"
    assert rows(path, "SELECT count(*) FROM runs") == [(1,)]
    aside = [file for file in tmp_path.iterdir() if ".damaged-" in file.name]
    assert [file.read_bytes()[:14] for file in aside] == [b"not a database"]
    assert any(one.levelno == logging.ERROR and "is damaged" in one.message for one in caplog.records)


async def test_damage_that_shows_while_writing_is_moved_aside_and_the_run_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.db"
    async with opened(path) as store:
        for number in range(2000):
            store.run(run(NOW + number))
    ((page, size),) = rows(path, "SELECT rootpage, page_size FROM sqlite_master, pragma_page_size WHERE name = 'runs'")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    async with opened(path) as store:
        store.run(run(NOW + 9999))
        assert len((await store.history("db", NOW + 5000, 9))["runs"]) == 1
        assert "is damaged" in caplog.text


async def test_what_was_written_outlives_a_kill(tmp_path: Path) -> None:
    program = f"""
import asyncio, time
from otelhealth.model import CheckResult, StateChange, Status
from otelhealth.store import Store
async def main():
    store = Store({str(tmp_path / "s.db")!r})
    store.open()
    store.change(StateChange("db", Status.PASS, Status.FAIL, time.time(), time.time()))
    store.state("db", {{"status": "fail"}})
    while not (await store.history("db", 0, 1))["changes"]:
        await asyncio.sleep(0.01)
    print("written", flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "written\n"
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    store = Store(tmp_path / "s.db")
    assert store.open()[0] == {"db": {"status": "fail"}}
    await store.close()


async def test_what_is_read_was_written_first(tmp_path: Path) -> None:
    async with opened(tmp_path / "s.db") as store:
        for number in range(1, 4):
            store.run(run(NOW + number))
            begun = time.monotonic()
            assert len((await store.history("db", 0, 9))["runs"]) == number
            assert time.monotonic() - begun < LATEST / 2


async def test_a_row_is_written_though_nothing_more_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer, "LATEST", 0.05)
    async with opened(tmp_path / "s.db") as store:
        for _ in range(3):
            store.run(run())
            await until(lambda: store.queued == 0)
            await until(lambda: store._asleep)  # noqa: SLF001 - the moment that matters cannot be seen from outside


async def test_a_store_that_is_deleted_while_it_is_used_is_said_and_begins_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "kept" / "s.db"
    async with opened(path) as store:
        store.run(run(NOW))
        assert len((await store.history("db", 0, 9))["runs"]) == 1
        path.unlink()  # its -wal and -shm stay
        store.run(run(NOW + 1))
        assert [one["started"] for one in (await store.history("db", 0, 9))["runs"]] == [NOW + 1]
        shutil.rmtree(path.parent)
        store.run(run(NOW + 2))
        assert [one["started"] for one in (await store.history("db", 0, 9))["runs"]] == [NOW + 2]
        with pytest.raises(OtelHealthError, match="is used by another"):
            Store(path).open()
    assert caplog.text.count("was deleted while it was used; a new one starts") == 2
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]
    assert rows(path, "SELECT started FROM runs") == [(NOW + 2,)]


async def test_a_store_that_is_replaced_while_it_is_used_goes_on_with_the_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, backup = tmp_path / "s.db", tmp_path / "backup.db"
    async with opened(backup) as store:
        for number in range(3):
            store.run(run(NOW - number, name="older"))
    async with opened(path) as store:
        for number in range(100):
            store.run(run(NOW + number))
        await store.history("db", 0, 1)
        backup.replace(path)
        store.run(run(NOW + 500))
        assert [one["started"] for one in (await store.history("db", 0, 9))["runs"]] == [NOW + 500]
        assert len((await store.history("older", 0, 9))["runs"]) == 3
    assert "was replaced while it was used; the other one goes on" in caplog.text
    assert rows(path, "PRAGMA integrity_check") == [("ok",)]


async def test_a_disk_that_is_too_slow_costs_the_oldest_runs_and_holds_up_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "s.db"
    async with opened(path) as store:
        slow = sqlite3.connect(path, isolation_level=None)
        slow.execute("BEGIN IMMEDIATE")
        begun = time.monotonic()
        for number in range(MOST_RUNS + 500):
            store.run(run(NOW + number))
        assert time.monotonic() - begun < 5
        assert 300 <= store.dropped <= 500
        slow.execute("ROLLBACK")
        slow.close()
        await until(lambda: store.queued == 0)
        dropped = store.dropped
    assert rows(path, "SELECT count(*), max(started) FROM runs") == [(MOST_RUNS + 500 - dropped, NOW + MOST_RUNS + 499)]
    assert caplog.text.count("the oldest runs are dropped") == 1


async def test_a_full_disk_is_said_once_and_written_to_again_when_it_has_room(tmp_path: Path) -> None:
    program = f"""
import asyncio, logging, resource, signal, sys, time
from otelhealth.model import CheckResult, Status
from otelhealth.store import Store
logging.basicConfig(stream=sys.stdout, format="%(message)s")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
async def main():
    store = Store({str(tmp_path / "s.db")!r})
    store.open()
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, most))
    for number in range(3000):
        store.run(CheckResult(Status.PASS, "x" * 200, name="db", started=time.time()))
    await asyncio.sleep(1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    while store.queued:
        await asyncio.sleep(0.01)
    await store.close()
    print("dropped", store.dropped)
asyncio.run(main())
"""
    ended = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    lines = ended.stdout.splitlines()
    assert lines[0].startswith(f"the store {tmp_path}/s.db cannot be written (")
    assert lines[1:] == ["the store can be written again; 0 runs were dropped so far", "dropped 0"]
    assert rows(tmp_path / "s.db", "SELECT count(*) FROM runs") == [(3000,)]


@pytest.mark.parametrize("kept", ["a new store", "a store that is there"])
async def test_a_full_disk_at_the_start_is_said_once_and_written_to_when_it_has_room(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, kept: str
) -> None:
    monkeypatch.setattr(writer, "RETRY", 0.05)
    path = tmp_path / "s.db"
    if kept == "a store that is there":
        async with opened(path) as store:
            store.run(run(NOW - 1), {"status": "pass"})
    store = Store(path, clock=ManualClock(NOW))
    with full():
        assert store.open() == ({}, {})
        store.change(change())
        store.run(run())
        with pytest.raises(OtelHealthError, match="the store cannot be read: its disk refuses it"):
            await store.history("db", 0, 9)
        problem = store.record()["problem"]
    assert problem
    await until(lambda: store.record()["problem"] is None)
    started = [one["started"] for one in (await store.history("db", 0, 9))["runs"]]
    assert started == ([NOW, NOW - 1] if kept == "a store that is there" else [NOW])
    assert store.record()["problem"] is None
    await store.close()
    assert caplog.text.count("cannot be opened (") == 1
    assert caplog.text.count("the store can be written again") == 1
    assert rows(path, "SELECT count(*) FROM changes") == [(1,)]


async def test_old_runs_and_changes_are_pruned_in_small_steps(tmp_path: Path) -> None:
    clock = ManualClock(NOW)
    keep = Keep.model_validate({"runs": "1h", "history": "2h"})
    async with opened(tmp_path / "s.db", keep=keep, clock=clock) as store:
        for number in range(1000):
            store.run(run(NOW + number / 1000))
        store.change(change(NOW))
        await until(lambda: store.queued == 0)
        assert len((await store.history("db", 0, 2000))["runs"]) == 1000
        clock.advance(3700)
        for number in range(30):
            store.run(run(NOW + 3700 + number))
            await store.history("db", 0, 1)
        history = await store.history("db", 0, 2000)
        assert (len(history["runs"]), len(history["changes"])) == (30, 1)
        clock.advance(3700)
        store.change(change(NOW + 7400))
        await store.history("db", 0, 1)
        store.run(run(NOW + 7400))
        assert [one["at"] for one in (await store.history("db", 0, 9))["changes"]] == [NOW + 7400]


async def test_a_file_that_grows_too_large_loses_its_oldest_runs(tmp_path: Path) -> None:
    path = tmp_path / "s.db"
    async with opened(path, max_size=2**20, clock=ManualClock(NOW + 20_000)) as store:
        for number in range(15_000):
            store.run(run(NOW + number, message="x" * 200))
    assert path.stat().st_size < 1.3 * 2**20
    ((count, newest),) = rows(path, "SELECT count(*), max(started) FROM runs")
    assert 1000 < count < 8000
    assert newest == NOW + 14_999


async def test_runs_are_rolled_up_by_the_hour(tmp_path: Path) -> None:
    hour = NOW - NOW % 3600
    async with opened(tmp_path / "s.db") as store:
        for status in ("pass", "pass", "warn", "fail", "unknown"):
            store.run(run(hour + 1, status))
        store.run(run(hour + 3601))
    async with opened(tmp_path / "s.db") as store:
        store.run(run(hour + 3602, "fail"))
    found = rows(tmp_path / "s.db", "SELECT hour, passed, warned, failed, unknown, round(seconds, 4) FROM hours")
    assert found == [(hour / 3600, 2, 1, 1, 1, 0.0625), (hour / 3600 + 1, 1, 0, 1, 0, 0.025)]


async def test_a_closed_store_says_so_and_takes_no_harm(tmp_path: Path) -> None:
    store = Store(tmp_path / "s.db")
    store.open()
    await store.close()
    await store.close()
    store.run(run())
    with pytest.raises(OtelHealthError, match="the store is closed"):
        await store.history("db", 0, 1)


@pytest.mark.parametrize(
    ("service", "environ", "path"),
    [
        ("shop", {"XDG_STATE_HOME": "/var/state", "HOME": "/root"}, "/var/state/otelhealth/shop/otelhealth.db"),
        ("shop", {"XDG_STATE_HOME": "", "HOME": "/home/joe"}, "/home/joe/.local/state/otelhealth/shop/otelhealth.db"),
        ("../a b/ü", {"HOME": "/h"}, "/h/.local/state/otelhealth/_a_b__/otelhealth.db"),
        ("..", {"HOME": "/h"}, "/h/.local/state/otelhealth/_/otelhealth.db"),
    ],
)
def test_the_default_path_lies_in_the_state_directory(service: str, environ: dict[str, str], path: str) -> None:
    assert default_path(service, environ) == Path(path)


def test_the_settings_have_the_missions_defaults() -> None:
    settings = StoreSettings()
    assert (settings.path, settings.keep.runs, settings.keep.history) == (None, 7 * 86400, 400 * 86400)
