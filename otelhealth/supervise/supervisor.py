"""The supervisor: one thread that waits for signals, and ends with the command's exit code."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

from otelhealth.stderr import say
from otelhealth.supervise.clearing import Clearing
from otelhealth.supervise.companion import Companion, Wishes
from otelhealth.supervise.restarts import Restarts, Rules
from otelhealth.supervise.service import Service
from otelhealth.supervise.signals import ENDING, PASSED_ON, Arrived, Signals, name_of
from otelhealth.supervise.spawn import CannotRunError, become_reaper
from otelhealth.supervise.timers import Timers

_READY = 60.0  # s that the companion may take to be ready
_CLOSING = 4.5  # s from the command's end to that of the companion; all is to end within 5
_HURRY = 1.0  # s after a second SIGTERM or SIGINT
_AGAIN = 0.5  # s between two kills of what will not die
_ECHO = 0.1  # s within which a second signal is the first, sent to this process and to its group


class Supervisor:
    """Starts the companion, then, when it is ready, the command; both end before it does."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str], companion: Companion) -> None:
        self._service = Service(command, shared=has_terminal())
        self._environ = dict(environ)
        self._companion = companion
        self._grace = 10.0
        self._restarts = Restarts(Rules())
        self._timers = Timers()
        self._asked = 0  # how often it was asked to end
        self._asked_at = float("-inf")  # monotonic seconds
        self._ending = False  # no restart any more
        self._lasted = 0.0
        self._clearing = Clearing(self._timers, lambda: self._companion.pid, self._cleared)
        self._last: int | None = None  # the exit code, once only the companion is waited for
        self._code: int | None = None

    def run(self) -> int:
        """The command's exit code, 128 + n for signal n; the companion's where it could not get ready."""
        become_reaper()
        with Signals(PASSED_ON | {signal.SIGCHLD, signal.SIGIO}) as signals:
            self._mask = signals.before
            self._start_companion()
            self._timers.set("ready", _READY, self._never_ready)
            while self._code is None:
                arrived = signals.wait(self._timers.patience())
                if arrived is not None:
                    self._take(arrived)
                self._timers.run_due()
        return self._code

    def _take(self, arrived: Arrived) -> None:
        if arrived.number == signal.SIGCHLD:
            self._reap()
        elif arrived.number == signal.SIGIO:
            self._hear()
        elif self._service.pid is not None:
            self._pass_on(arrived)
        elif arrived.number in ENDING:
            self._leave(arrived.number)

    def _hear(self) -> None:
        for message in self._companion.messages():
            if self._companion.ready:  # it is another, that knows nothing yet
                self._tell()
            elif wishes := Wishes.of(message):
                self._companion.ready, self._companion.again = True, wishes.again
                self._grace, self._restarts = wishes.grace, Restarts(wishes.restart)
                self._environ = wishes.applied(self._environ)
                self._timers.cancel("ready")
                self._start_service()

    def _start_companion(self) -> None:
        try:
            self._companion.start(self._mask)
        except CannotRunError as error:
            say(str(error))
            self._companion_ended(error.code)

    def _never_ready(self) -> None:
        say(f"the agent is not ready after {_READY:g} s: {self._service.name} is not started")
        self._companion.kill()

    def _start_service(self) -> None:
        try:
            self._service.start(self._environ, self._mask)
        except CannotRunError as error:
            say(str(error))
            self._finish(error.code)
        else:
            self._tell()

    def _pass_on(self, arrived: Arrived) -> None:
        """A key of the terminal has reached the command already, and what it means is the command's own matter."""
        typed = self._service.shared and arrived.from_kernel
        ending = arrived.number in ENDING
        if ending and not typed and time.monotonic() - self._asked_at < _ECHO:
            return
        if not typed:
            self._service.send(arrived.number)
        self._ending = self._ending or ending
        if typed or not ending:
            return
        self._asked, self._asked_at = self._asked + 1, time.monotonic()
        if self._asked > 2:
            self._kill(arrived.name)
        else:
            patience = self._grace if self._asked == 1 else min(_HURRY, self._timers.left("grace"))
            self._timers.set("grace", patience, lambda: self._kill(arrived.name))
        self._tell()

    def _kill(self, after: str) -> None:
        if self._service.pid is None:
            return
        say(f"{self._service.name} has not ended after {after}: it is killed, with all below it")
        self._kill_again()

    def _kill_again(self) -> None:
        """Until it is gone: one that forks fast may have escaped."""
        if self._service.pid is not None:
            self._service.kill(self._companion.pid)
            self._timers.set("grace", _AGAIN, self._kill_again)

    def _leave(self, number: int) -> None:
        """Asked to end while the command does not run."""
        self._ending = True
        if self._last is not None:
            self._companion.kill()
        elif self._clearing.going_on:
            self._clearing.kill()
        else:
            code = self._service.code
            self._finish(128 + number if code is None else code)

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    break
                if pid == self._service.pid:
                    self._service_ended(exit_code(status))
                elif pid == self._companion.pid:
                    self._companion_ended(exit_code(status))
        self._clearing.look()

    def _service_ended(self, code: int) -> None:
        self._lasted = self._service.ended(code)
        self._timers.cancel("grace")
        self._timers.set("closing", _CLOSING, self._companion.kill)
        self._clearing.begin(self._grace)

    def _cleared(self) -> None:
        code = self._service.code or 0
        pause = None if self._ending else self._restarts.pause(code, self._lasted)
        if pause is None:
            self._finish(code)
            return
        self._timers.cancel("closing")
        say(f"{self._service.name} ended with {code}: it starts again in {pause:g} s")
        self._timers.set("restart", pause, self._start_service)
        self._tell()

    def _finish(self, code: int) -> None:
        self._last = code
        self._timers.cancel("restart", "companion")
        self._tell()
        if self._companion.pid is None:
            self._code = code
        else:
            self._companion.send(signal.SIGTERM)
            self._timers.set("closing", min(_CLOSING, self._timers.left("closing")), self._companion.kill)

    def _companion_ended(self, code: int) -> None:
        pause = self._companion.ended(code)
        if self._last is not None or not self._companion.ready:
            self._code = (code or 1) if self._last is None else self._last
            return
        how = name_of(code - 128) if code > 128 else f"exit code {code}"
        say(
            f"the agent has ended ({how}): {self._service.name} goes on unwatched, "
            f"the agent starts again in {pause:g} s"
        )
        self._timers.set("companion", pause, self._start_companion)

    def _tell(self) -> None:
        self._companion.tell(self._service.record(self._state(), asked=self._ending))

    def _state(self) -> str:
        if self._service.pid is not None:
            return "stopping" if self._asked else "running"
        return "exited" if self._last is not None else "restarting"


def has_terminal() -> bool:
    """Whether a terminal controls this process: a shell's job is then one group, with the command in it."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def exit_code(status: int) -> int:
    """Of a status that `waitpid` gave: 128 + n for an end by signal n."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
