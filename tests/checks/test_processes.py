from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from otelhealth.checks.processes import TreeMeter, look_at, tree
from otelhealth.model import Usage
from tests.waiting import eventually

# The kernel tells user and system time apart, each cut down to whole ticks.
CUT = 2 / os.sysconf("SC_CLK_TCK") + 1e-6
BUSY = "import time; end = time.process_time() + {seconds}\nwhile time.process_time() < end: pass\n"


@contextmanager
def parent(code: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs `code` and tells each step with a line; it goes on with each line that it reads."""
    child = subprocess.Popen(
        [sys.executable, "-uc", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    yield child
    child.kill()
    child.communicate()


def read(meter: TreeMeter, pid: int) -> Usage:
    usage = meter.read(pid)
    assert usage is not None
    return usage


def line(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    return child.stdout.readline().strip()


def go_on(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None
    child.stdin.write("\n")


def test_the_tree_holds_all_below_the_root_also_what_another_thread_started() -> None:
    code = (
        "import subprocess, sys, threading\n"
        "def start(): print(subprocess.Popen([sys.executable, '-c', 'input()']).pid)\n"
        "start(); t = threading.Thread(target=start); t.start(); t.join(); input()"
    )
    with parent(code) as child:
        pids = {int(line(child)), int(line(child))}
        assert set(tree(child.pid)) == {child.pid, *pids}
        assert {above for pid, above in tree(child.pid).items() if pid in pids} == {child.pid}


def test_a_process_that_is_gone_or_a_zombie_is_not_seen() -> None:
    with parent("") as child:
        child.stdout and child.stdout.read()
        eventually(lambda: look_at(child.pid) is None)
        assert TreeMeter().read(child.pid) is None
    assert look_at(child.pid) is None


def test_cpu_time_of_children_that_have_ended_stays_also_of_those_that_were_never_seen() -> None:
    code = (
        "import subprocess, sys\n"
        f"subprocess.run([sys.executable, '-c', {BUSY.format(seconds=0.2)!r}]); print('ended'); input()\n"
        f"p = subprocess.Popen([sys.executable, '-uc', {(BUSY.format(seconds=0.2) + 'print(0); input()')!r}],"
        "stdin=subprocess.PIPE); input(); p.communicate(b'\\n'); print('ended'); input()"
    )
    meter = TreeMeter()
    with parent(code) as child:
        assert line(child) == "ended"
        unseen = read(meter, child.pid)
        assert unseen.processes == 1
        assert unseen.user + unseen.system >= 0.2 - CUT
        go_on(child)
        assert line(child) == "0"
        seen = read(meter, child.pid)
        assert seen.processes == 2
        assert seen.user + seen.system >= unseen.user + unseen.system + 0.2 - CUT
        go_on(child)
        assert line(child) == "ended"
        after = read(meter, child.pid)
        assert after.processes == 1
        assert seen.user + seen.system <= after.user + after.system < seen.user + seen.system + 0.15


def test_cpu_time_counts_on_over_a_restart_of_the_root() -> None:
    meter = TreeMeter()
    code = BUSY.format(seconds=0.1) + "print('done'); input()"
    with parent(code) as first:
        line(first)
        before = read(meter, first.pid)
    assert meter.read(None) is None
    with parent(code) as second:
        line(second)
        after = read(meter, second.pid)
    assert after.user + after.system >= before.user + before.system + 0.1 - CUT


def test_this_process_has_open_files_and_threads() -> None:
    usage = read(TreeMeter(), os.getpid())
    assert usage.rss > 1 << 20
    assert usage.threads >= 1
    assert usage.fds is not None
    assert usage.fds > 2


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lists the children of a process")
def test_looking_at_a_tree_does_not_look_at_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("it looks at every process")

    monkeypatch.setattr("psutil.pids", refuse)
    assert tree(os.getpid())
