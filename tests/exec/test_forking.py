"""A program that forks while its agent works: what the children record arrives, once, each as its own instance."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.exec.test_workers import instrumented, receiver, settings
from tests.supervise.running import ROOT
from tests.telemetry.receiver import Receiver
from tests.waiting import eventually

__all__ = ["receiver"]


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
def test_children_of_multiprocessing_send_what_they_recorded_before_they_end(
    tmp_path: Path, receiver: Receiver
) -> None:
    command = [sys.executable, str(ROOT / "tests" / "exec" / "apps" / "forking.py")]
    with instrumented(tmp_path, command, **settings(receiver) | {"OTEL_BSP_SCHEDULE_DELAY": "60000"}) as process:
        eventually(lambda: "an agent works in this program" in (tmp_path / "stderr").read_text(), within=30)
        process.communicate(b"\n", timeout=60)
        assert process.returncode == 0
    found = [(span.name, resource["service.instance.id"]) for resource, _, span in receiver.scoped_spans()]
    told = sorted((name, instance) for name, instance in found if name == "give out" or name.startswith("work "))
    assert [name for name, _ in told] == ["give out", "work 0", "work 1", "work 2"]
    assert len({instance for _, instance in told}) == 4
    assert "Traceback" not in (tmp_path / "stderr").read_text()
