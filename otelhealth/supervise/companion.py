"""The process beside the command: told how the command is, and started again when it dies, since it may not matter."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from otelhealth.supervise.channel import Channel
from otelhealth.supervise.restarts import Restarts, Rules
from otelhealth.supervise.spawn import CannotRunError, Manner, spawn

_AGAIN = Rules("always", backoff=1.0, max_backoff=60.0)


class Wishes(NamedTuple):
    """What a companion asks for once it is ready."""

    grace: float  # s from SIGTERM to SIGKILL
    restart: Rules
    environment: Mapping[str, str]  # that the command gets besides ours
    without: Sequence[str]  # of ours, what it does not get
    again: Sequence[str]  # arguments for when the companion is started again

    @classmethod
    def of(cls, message: Mapping[str, Any]) -> Wishes | None:
        """None for a message that says nothing of them."""
        if not message.get("ready"):
            return None
        wanted = (message[name] for name in ("environment", "without", "again"))
        return cls(message["grace"], Rules(**message["restart"]), *wanted)

    def applied(self, environ: Mapping[str, str]) -> dict[str, str]:
        return {name: value for name, value in environ.items() if name not in self.without} | dict(self.environment)


class Companion:
    """`command` makes its argument vector from the descriptor of its end of the channel, and what its first life
    asked for when it was ready."""

    def __init__(self, command: Callable[[int, Sequence[str]], Sequence[str]]) -> None:
        self._command = command
        self._restarts = Restarts(_AGAIN)
        self._channel: Channel | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._since = 0.0
        self.again: Sequence[str] = ()
        self.ready = False  # has been so once

    @property
    def pid(self) -> int | None:
        """None while it does not run."""
        return self._process.pid if self._process else None

    def start(self, mask: set[int]) -> None:
        """In a session of its own: no key of a terminal reaches it. At our death it is told to end, and may do what
        is left to do. Raises CannotRunError."""
        channel = Channel()
        number = channel.other.fileno()
        command = self._command(number, self.again)
        try:
            self._process = spawn(command, os.environ, mask, Manner("session", (number,), signal.SIGTERM))
        except CannotRunError:
            channel.close()
            raise
        channel.other.close()
        self._channel, self._since = channel, time.monotonic()

    def messages(self) -> Iterator[dict[str, Any]]:
        if self._channel is not None:
            yield from self._channel.messages()

    def tell(self, message: Mapping[str, Any]) -> None:
        if self._channel is not None:
            self._channel.tell(message)

    def send(self, number: signal.Signals) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)

    def ended(self, code: int) -> float:
        """It ended with `code`; seconds until it is to be started again."""
        if self._process is not None:
            self._process.returncode = code
        if self._channel is not None:
            self._channel.close()
        self._process = self._channel = None
        return self._restarts.pause(code, time.monotonic() - self._since) or 0.0
