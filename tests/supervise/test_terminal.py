"""On a real terminal: keys reach the command as they would without a supervisor, and job control works."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.supervise.running import ROOT, gone
from tests.waiting import eventually

KEYS = """
import os, select, signal, socket
told, mine = socket.socketpair()
mine.setblocking(False)
signal.set_wakeup_fd(mine.fileno())
for number in (signal.SIGINT, signal.SIGWINCH):
    signal.signal(number, lambda *_: None)
print("up")
text = ""
while not text.endswith("end\\n"):
    ready, _, _ = select.select([0, told], [], [])
    if told in ready:
        for number in told.recv(1):
            print({signal.SIGINT: "int", signal.SIGWINCH: "winch"}.get(number))
    if 0 in ready:
        text = os.read(0, 100).decode()
        print("got", text.strip())
"""


class Terminal:
    """A pseudo-terminal whose session leader, a shell, has started a supervised command."""

    def __init__(self, folder: Path, code: str, settings: dict[str, object] | None = None) -> None:
        own = [sys.executable, "-m", "tests.supervise.supervised", json.dumps(settings or {}), str(folder / "told")]
        self.told = folder / "told"
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            os.execv("/bin/bash", ["bash", "--norc", "--noediting", "-i"])
        self.seen = ""
        words = " ".join(f"'{word}'" for word in own)
        script = folder / "command.py"
        script.write_text(code)
        self.type(f"PS1=; {words} {sys.executable} -u {script}\n")

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, text: str, within: float = 30.0) -> None:
        """Until it has shown `text`, which is then taken as read."""
        end = time.monotonic() + within
        while text not in self.seen:
            assert time.monotonic() < end, self.seen
            if select.select([self.master], [], [], 0.1)[0]:
                with suppress(OSError):
                    self.seen += os.read(self.master, 4096).decode()
        self.seen = self.seen.partition(text)[2]

    def close(self) -> None:
        os.kill(self.pid, signal.SIGHUP)
        os.close(self.master)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    opened: list[Terminal] = []

    def open_one(*arguments: object) -> Terminal:
        opened.append(Terminal(tmp_path, *arguments))  # type: ignore[arg-type]  # as Terminal takes them
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def test_ctrl_c_reaches_the_command_once_and_what_it_means_is_its_own_matter(
    terminal: Callable[..., Terminal],
) -> None:
    shown = terminal(KEYS, {"grace": 0.1})
    shown.until("up\r\n")
    for _ in range(2):
        shown.type("\x03")
        shown.until("int")
    shown.type("hello\n")
    shown.until("got hello")
    assert "int" not in shown.seen
    shown.type("end\n")
    shown.type("echo code $?\n")
    shown.until("code 0")


def test_a_command_that_ctrl_c_ends_ends_it_all(terminal: Callable[..., Terminal]) -> None:
    shown = terminal("import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); print('up'); signal.pause()")
    shown.until("up\r\n")
    shown.type("\x03")
    shown.type("echo code $?\n")
    shown.until("code 130")


def test_ctrl_z_stops_the_job_and_fg_goes_on_with_it(terminal: Callable[..., Terminal]) -> None:
    shown = terminal(KEYS)
    shown.until("up\r\n")
    shown.type("\x1a")
    shown.until("Stopped")
    shown.type("echo shell $((1+1))\n")
    shown.until("shell 2")
    shown.type("fg\n")
    shown.type("again\n")
    shown.until("got again")
    shown.type("end\n")


def test_a_new_window_size_reaches_the_command(terminal: Callable[..., Terminal]) -> None:
    shown = terminal(KEYS)
    shown.until("up\r\n")
    fcntl.ioctl(shown.master, termios.TIOCSWINSZ, b"\x20\0\x60\0\0\0\0\0")
    shown.until("winch")
    shown.type("end\n")


def test_a_terminal_that_goes_away_leaves_nothing_behind(terminal: Callable[..., Terminal], tmp_path: Path) -> None:
    shown = terminal("import signal; print('up'); signal.pause()")
    shown.until("up\r\n")
    pids = eventually(lambda: found if len(found := pids_told(tmp_path / "told")) == 2 else None)
    os.kill(shown.pid, signal.SIGHUP)
    assert all(eventually(gone(pid)) for pid in pids)


def pids_told(file: Path) -> list[int]:
    """Of the companion and, once that knows it, of the command."""
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    return [line[key] for line in lines for key in ("companion", "pid") if line.get(key)]
