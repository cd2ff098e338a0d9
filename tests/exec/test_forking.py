"""A program that forks: what its children record arrives, once, each as its own instance, though they leave without
`atexit`."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.exec.auto import auto_bin
from tests.exec.executed import Executed
from tests.exec.test_workers import instrumented, receiver, settings
from tests.supervise.running import ROOT
from tests.telemetry.receiver import Receiver
from tests.waiting import eventually

__all__ = ["receiver"]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fork")

FORKING = [sys.executable, str(ROOT / "tests" / "exec" / "apps" / "forking.py")]
LATE = {"OTEL_BSP_SCHEDULE_DELAY": "60000"}  # nothing is sent before the end


def check_children(receiver: Receiver) -> None:
    found = [(span.name, resource["service.instance.id"]) for resource, _, span in receiver.scoped_spans()]
    told = sorted((name, instance) for name, instance in found if name == "give out" or name.startswith("work "))
    assert [name for name, _ in told] == ["give out", "work 0", "work 1", "work 2"]
    assert len({instance for _, instance in told}) == 4


def test_children_of_multiprocessing_send_what_they_recorded_before_they_end(
    tmp_path: Path, receiver: Receiver
) -> None:
    with instrumented(tmp_path, FORKING, **settings(receiver) | LATE) as process:
        eventually(lambda: "an agent works in this program" in (tmp_path / "stderr").read_text(), within=30)
        process.communicate(b"\n", timeout=60)
        assert process.returncode == 0
    check_children(receiver)
    assert "Traceback" not in (tmp_path / "stderr").read_text()


def test_so_do_they_below_exec(tmp_path: Path, receiver: Receiver) -> None:
    with Executed(tmp_path, FORKING, **settings(receiver) | LATE) as run:
        run.process.communicate("\n", timeout=60)
        assert run.code() == 0
    check_children(receiver)
    assert "Traceback" not in run.said()


def test_a_process_of_celerys_pool_sends_what_it_recorded_before_it_ends(tmp_path: Path, receiver: Receiver) -> None:
    options = ["-A", "tests.exec.apps.tasks", "worker", "-c", "1", "--max-tasks-per-child", "1"]
    environ = settings(receiver) | LATE | {"programs": str(auto_bin())}
    with instrumented(tmp_path, [str(auto_bin() / "celery"), *options], **environ) as process:
        run = eventually(
            lambda: [span for span in receiver.spans() if span.name == "run/tests.exec.apps.tasks.work"], within=60
        )[0]
        process.send_signal(signal.SIGQUIT)  # at once, but for what the agent has to send
        process.communicate(timeout=60)
    [sent] = [span for span in receiver.spans() if span.name == "apply_async/tests.exec.apps.tasks.work"]
    assert (run.trace_id, run.parent_span_id) == (sent.trace_id, sent.span_id)
