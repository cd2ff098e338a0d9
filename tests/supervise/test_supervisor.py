from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.supervise.running import gone
from tests.supervise.supervised import Supervised, python
from tests.waiting import eventually

COUNTS = """
import signal, sys
numbers = {getattr(signal, name) for name in sys.argv[1:]}
signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
print("up")
while True:
    print(signal.Signals(signal.sigwait(numbers)).name)
"""
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up'); signal.pause()"


@pytest.mark.parametrize("code", [0, 255])
def test_it_ends_with_the_exit_code_of_its_command(tmp_path: Path, code: int) -> None:
    with Supervised(tmp_path, python(f"import sys; sys.exit({code})")) as run:
        assert run.end()[0] == code


def test_an_end_by_a_signal_is_128_and_its_number(tmp_path: Path) -> None:
    with Supervised(tmp_path, python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")) as run:
        assert run.end()[0] == 128 + signal.SIGSEGV


def test_standard_streams_pass_through_untouched(tmp_path: Path) -> None:
    with Supervised(tmp_path, ["sh", "-c", "cat; echo oops >&2"]) as run:
        assert run.process.communicate("äöü\nlast without an end", timeout=20) == ("äöü\nlast without an end", "oops\n")


def test_files_that_were_handed_down_are_there_and_the_supervisors_own_are_not(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    with Supervised(tmp_path, ["ls", "-l", f"/proc/self/fd/{write}"], close_fds=False) as run:
        assert run.end()[0] == 0
    with Supervised(tmp_path, ["ls", "/proc/self/fd"], pass_fds=(write,)) as run:
        _, out, _ = run.end()
        assert {int(number) for number in out.split()} - {3} == {0, 1, 2, write}  # 3: that of ls itself
    os.close(read)
    os.close(write)


def test_the_companions_wishes_for_the_environment_are_the_commands(tmp_path: Path) -> None:
    settings = {"environment": {"GIVEN": "1"}, "without": ["TAKEN"]}
    code = "import os; print(os.environ.get('GIVEN'), os.environ.get('TAKEN'))"
    with Supervised(tmp_path, python(code), settings, env=os.environ | {"TAKEN": "2"}) as run:
        assert run.end()[1] == "1 None\n"


def test_signals_are_passed_on(tmp_path: Path) -> None:
    names = ("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGWINCH", "SIGTTIN", "SIGTTOU", "SIGRTMIN", "SIGTERM")
    with Supervised(tmp_path, [*python(COUNTS), *names]) as run:
        assert run.line() == "up"
        for name in names:
            run.process.send_signal(getattr(signal, name))
            assert run.line() == name
        os.kill(run.pid(), signal.SIGKILL)
        assert run.end()[0] == 137


def test_of_two_that_ask_it_to_end_at_once_one_is_passed_on(tmp_path: Path) -> None:
    with Supervised(tmp_path, [*python(COUNTS), "SIGINT", "SIGTERM", "SIGWINCH"], {"grace": 60}) as run:
        assert run.line() == "up"
        run.process.send_signal(signal.SIGSTOP)  # so that it takes both at once, however slow the machine is
        eventually(lambda: psutil.Process(run.process.pid).status() == psutil.STATUS_STOPPED)
        run.process.send_signal(signal.SIGINT)
        run.process.send_signal(signal.SIGTERM)
        run.process.send_signal(signal.SIGCONT)
        assert run.line() == "SIGINT"
        run.process.send_signal(signal.SIGWINCH)  # of what waits, the command takes the lowest number first
        assert run.line() == "SIGWINCH"
        os.kill(run.pid(), signal.SIGKILL)


def test_one_that_is_stopped_ends_as_it_wants_to(tmp_path: Path) -> None:
    with Supervised(tmp_path, [*python(COUNTS), "SIGTERM"], {"grace": 60}) as run:
        assert run.line() == "up"
        os.kill(run.pid(), signal.SIGSTOP)
        eventually(lambda: psutil.Process(run.pid()).status() == psutil.STATUS_STOPPED)
        run.process.terminate()
        assert run.line() == "SIGTERM"
        os.kill(run.pid(), signal.SIGKILL)
        assert run.end()[0] == 137


def test_one_that_does_not_end_within_the_grace_is_killed_with_all_below_it(tmp_path: Path) -> None:
    nested = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]).pid); {STUBBORN}"
    with Supervised(tmp_path, python(nested), {"grace": 0.3}) as run:
        grandchild = int(run.line())
        assert [run.line(), run.line()] == ["up", "up"]
        run.process.terminate()
        code, _, said = run.end()
        assert code == 137
        assert "has not ended after SIGTERM: it is killed, with all below it" in said
        assert eventually(gone(grandchild))


def test_a_second_signal_is_passed_on_at_once_and_ends_the_grace(tmp_path: Path) -> None:
    with Supervised(tmp_path, [*python(COUNTS), "SIGTERM", "SIGINT"], {"grace": 60}) as run:
        assert run.line() == "up"
        run.process.terminate()
        assert run.line() == "SIGTERM"
        time.sleep(0.15)  # sooner, it is the same signal sent to the group as well
        run.process.send_signal(signal.SIGINT)
        assert run.line() == "SIGINT"
        assert run.end(timeout=10)[0] == 137


def test_all_ends_within_5_s_of_the_command_whatever_it_leaves_behind(tmp_path: Path) -> None:
    lost = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-uc', {STUBBORN!r}]).pid); input()"
    with Supervised(tmp_path, python(lost), {"stubborn": True}) as run:
        pid = int(run.line())
        assert run.line() == "up"
        command, companion = run.pid(), run.companion()
        run.enter()
        eventually(gone(command))
        began = time.monotonic()
        assert run.process.wait(timeout=20) == 0
        assert time.monotonic() - began <= 8  # a busy machine takes its time; what is left behind would stay for ever
        assert gone(pid)()
        assert gone(companion)()


def test_a_process_that_left_its_group_and_session_is_ended_too(tmp_path: Path) -> None:
    lost = (
        "import subprocess, sys; print(subprocess.Popen([sys.executable, '-uc', 'import signal; print(0); "
        "signal.pause()'], start_new_session=True).pid)"
    )
    with Supervised(tmp_path, python(lost)) as run:
        pid = int(run.line())
        assert run.end()[0] == 0
        assert gone(pid)()


def test_the_command_does_not_outlive_a_supervisor_that_is_killed(tmp_path: Path) -> None:
    with Supervised(tmp_path, python("import signal; print('up'); signal.pause()")) as run:
        assert run.line() == "up"
        pid, companion = run.pid(), run.companion()
        run.process.kill()
        assert eventually(gone(pid))
        assert eventually(gone(companion))


def test_the_companions_death_does_not_end_the_command_and_it_is_started_again(tmp_path: Path) -> None:
    with Supervised(tmp_path, python("print('up'); input(); print('here')")) as run:
        assert run.line() == "up"
        pid, first = run.pid(), run.companion()
        os.kill(first, signal.SIGKILL)
        eventually(lambda: run.companion() != first)
        assert not gone(pid)()
        assert [line["again"] for line in run.told() if "again" in line] == [[], ["once more"]]
        eventually(lambda: run.told()[-1].get("pid") == pid)  # it is told anew how the command is
        run.enter()
        code, _, said = run.end()
        assert code == 0
        assert "the agent has ended (SIGKILL): python goes on unwatched, the agent starts again in 1 s" in said


def test_a_companion_that_refuses_ends_it_all_before_the_command_starts(tmp_path: Path) -> None:
    with Supervised(tmp_path, ["touch", str(tmp_path / "ran")], {"refuse": 2}) as run:
        assert run.end()[0] == 2
        assert not (tmp_path / "ran").exists()


def test_it_can_be_ended_before_the_companion_is_ready(tmp_path: Path) -> None:
    with Supervised(tmp_path, ["touch", str(tmp_path / "ran")], {"silent": True}) as run:
        run.companion()
        run.process.terminate()
        assert run.end()[0] == 128 + signal.SIGTERM
        assert not (tmp_path / "ran").exists()


def test_a_companion_that_will_not_end_is_killed_by_a_second_signal(tmp_path: Path) -> None:
    with Supervised(tmp_path, ["true"], {"stubborn": True}) as run:
        eventually(lambda: "exited" in run.states())
        run.process.terminate()
        assert run.end(timeout=5)[0] == 0


def test_the_companion_is_told_each_state_of_the_command(tmp_path: Path) -> None:
    with Supervised(tmp_path, [*python(COUNTS), "SIGTERM"], {"grace": 0.1}) as run:
        assert run.line() == "up"
        run.process.terminate()
        assert run.end()[0] == 137
        assert run.states() == ["running", "stopping", "exited"]
        assert run.told()[-1]["exit_code"] == 137
        assert [line["asked"] for line in run.told() if "state" in line] == [False, True, True]


@pytest.mark.parametrize(("rules", "code"), [({"policy": "on-failure"}, 3), ({"policy": "always"}, 0)])
def test_it_restarts_with_a_pause_until_it_has_done_so_often_enough(
    tmp_path: Path, rules: dict[str, object], code: int
) -> None:
    settings = {"restart": {**rules, "backoff": 0.05, "most": 2}}
    with Supervised(tmp_path, python(f"print('up'); import sys; sys.exit({code})"), settings) as run:
        ended, out, said = run.end()
        assert (ended, out.count("up")) == (code, 3)
        assert f"ended with {code}: it starts again in 0.05 s" in said
        assert f"ended with {code}: it starts again in 0.1 s" in said
        assert [line["restarts"] for line in run.told() if line.get("state") == "running"] == [0, 1, 2]
        assert run.states()[:3] == ["running", "restarting", "running"]


def test_success_ends_a_command_that_is_restarted_on_failure_only(tmp_path: Path) -> None:
    with Supervised(tmp_path, python("print('up')"), {"restart": {"policy": "on-failure"}}) as run:
        assert run.end()[:2] == (0, "up\n")


def test_it_can_be_ended_while_it_waits_to_restart(tmp_path: Path) -> None:
    with Supervised(tmp_path, python("raise SystemExit(4)"), {"restart": {"policy": "always", "backoff": 60.0}}) as run:
        eventually(lambda: "restarting" in run.states())
        run.process.terminate()
        assert run.end(timeout=10)[0] == 4


def test_a_command_that_was_asked_to_end_is_not_restarted(tmp_path: Path) -> None:
    with Supervised(
        tmp_path, python("import signal; print('up'); signal.pause()"), {"restart": {"policy": "always"}}
    ) as run:
        assert run.line() == "up"
        run.process.terminate()
        assert run.end()[0] == 128 + signal.SIGTERM


def test_a_command_that_vanished_before_its_restart_ends_it(tmp_path: Path) -> None:
    script = tmp_path / "once"
    script.write_text(f"#!/bin/sh\nrm {script}\nexit 3\n")
    script.chmod(0o755)
    with Supervised(tmp_path, [str(script)], {"restart": {"policy": "always", "backoff": 0.01}}) as run:
        code, _, said = run.end()
        assert code == 126
        assert "cannot be executed: No such file or directory" in said


def test_orphans_are_collected(tmp_path: Path) -> None:
    orphan = (
        "import os, time\n"
        "if os.fork() == 0:\n  if os.fork(): os._exit(0)\n  time.sleep(.1); os._exit(0)\n"
        "os.wait(); print('up'); input()"
    )
    with Supervised(tmp_path, python(orphan)) as run:
        assert run.line() == "up"
        eventually(lambda: len(psutil.Process(run.process.pid).children()) == 2)  # the command and its companion
        assert all(child.status() != psutil.STATUS_ZOMBIE for child in psutil.Process(run.process.pid).children())


def can_unshare() -> bool:
    return os.system("unshare --pid --fork --mount-proc true 2>/dev/null") == 0


@pytest.mark.skipif(not can_unshare(), reason="this machine makes no PID namespaces")
def test_as_process_1_it_collects_passes_signals_on_and_ends_with_the_code(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "if os.fork() == 0:\n  if os.fork(): os._exit(0)\n  os._exit(0)\n"
        "os.wait(); print(os.getppid()); signal.pause()"
    )
    before = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child=SIGKILL"]
    with Supervised(tmp_path, python(code), before=before) as run:
        assert run.line() == "1"
        [one] = psutil.Process(run.process.pid).children()
        eventually(lambda: len(one.children()) == 2)
        one.send_signal(signal.SIGTERM)
        assert run.end()[0] == 5
