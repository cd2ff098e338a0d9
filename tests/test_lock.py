"""The lock of a file, between real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from otelhealth.lock import Lock
from tests.disk import full
from tests.waiting import eventually

HOLD = """
import os, sys, time
from pathlib import Path
from otelhealth.lock import Lock

lock = Lock(Path(sys.argv[1]))
assert lock.take()
child = os.fork() if sys.argv[2:] else 1
if child:
    print(child, flush=True)
time.sleep(60)
"""


def hold(path: Path, *more: str) -> tuple[subprocess.Popen[str], int]:
    """A process that has the lock, and the pid of its forked child."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path), *more], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_a_lock_that_another_process_has_is_refused_and_its_owner_told(tmp_path: Path) -> None:
    process, _ = hold(tmp_path / "file")
    lock = Lock(tmp_path / "file")
    try:
        assert not lock.take()
        assert lock.owner == str(process.pid)
    finally:
        end(process)
    assert lock.take()
    lock.release()


def test_a_lock_ends_with_its_process_though_a_forked_child_lives_on(tmp_path: Path) -> None:
    process, child = hold(tmp_path / "file", "fork")
    lock = Lock(tmp_path / "file")
    try:
        assert not lock.take()
        process.kill()
        process.wait()
        eventually(lock.take)
        lock.release()
    finally:
        os.kill(child, signal.SIGKILL)
        end(process)


def test_on_a_full_disk_a_lock_is_had_and_refused_all_the_same(tmp_path: Path) -> None:
    lock, other = Lock(tmp_path / "file"), Lock(tmp_path / "file")
    with full():
        assert lock.take()
        assert not other.take()
    assert other.owner == "unknown"
    lock.release()
    assert other.take()
    other.release()
