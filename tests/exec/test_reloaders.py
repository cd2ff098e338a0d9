"""Development servers that start themselves anew at each change: what waits for the process that serves would kill it
with all that it has recorded."""

from __future__ import annotations

from pathlib import Path

from tests.exec.executed import Executed
from tests.exec.test_forking import LATE
from tests.exec.test_workers import BIN, receiver, settings
from tests.stack.loopback import answers, free_ports
from tests.telemetry.receiver import Receiver
from tests.waiting import eventually

__all__ = ["receiver"]


def names(receiver: Receiver) -> set[str]:
    return {span.name for span in receiver.spans() if not span.name.startswith("check ")}


def test_flasks_debug_server_sends_what_it_recorded_before_it_ends(tmp_path: Path, receiver: Receiver) -> None:
    port = free_ports(("http",))["http"]
    flask = [str(BIN / "flask"), "--app", "tests.exec.apps.flaskshop", "run", "--debug", "--port", str(port)]
    with Executed(tmp_path, flask, **settings(receiver) | LATE) as run:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/items/7"), within=60)
        run.process.terminate()
        assert run.code() == 0
    assert names(receiver) == {"give out"}
