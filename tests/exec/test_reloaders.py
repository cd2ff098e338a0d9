"""Development servers that start themselves anew at each change: what waits for the process that serves would kill it
with all that it has recorded."""

from __future__ import annotations

from pathlib import Path

from tests.exec.auto import auto_bin
from tests.exec.executed import Executed
from tests.exec.test_forking import LATE
from tests.exec.test_workers import BIN, instrumented, receiver, settings
from tests.stack.loopback import answers, free_ports
from tests.supervise.running import ROOT
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


def test_so_does_djangos_whose_settings_are_named_late(tmp_path: Path, receiver: Receiver) -> None:
    port = free_ports(("http",))["http"]
    site = [str(auto_bin() / "python"), str(ROOT / "tests" / "exec" / "apps" / "djangosite.py")]
    environ = settings(receiver) | LATE | {"programs": str(auto_bin())}
    with instrumented(tmp_path, [*site, "runserver", str(port)], **environ) as process:
        eventually(lambda: answers(f"http://127.0.0.1:{port}/items/7"), within=60)
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert names(receiver) == {"GET items/<int:number>"}
