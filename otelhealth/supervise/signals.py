"""Signals as events: blocked for the program's whole life and taken one by one, so that none is lost or interrupts."""

from __future__ import annotations

import signal
from collections.abc import Set as AbstractSet
from types import TracebackType
from typing import NamedTuple, Self

_FROM_KERNEL = 0x80  # si_code SI_KERNEL: a key of the terminal, not a process, made it
_NAMED = ("HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "WINCH", "TTIN", "TTOU", "PWR")
PASSED_ON = frozenset(
    {getattr(signal, f"SIG{name}") for name in _NAMED if hasattr(signal, f"SIG{name}")}
    | set(range(getattr(signal, "SIGRTMIN", 0), getattr(signal, "SIGRTMAX", -1) + 1))
)
ENDING = frozenset({signal.SIGTERM, signal.SIGINT})
SUPPORTED = hasattr(signal, "sigtimedwait")


class Arrived(NamedTuple):
    number: int
    from_kernel: bool

    @property
    def name(self) -> str:
        return name_of(self.number)


def name_of(number: int) -> str:
    """`SIGTERM` for 15; the number for what has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


class Signals:
    """From entering to leaving, `numbers` are blocked in this process, which has one thread."""

    def __init__(self, numbers: AbstractSet[int]) -> None:
        self._numbers = numbers
        self.before: set[int] = set()  # the mask that a child is to have

    def __enter__(self) -> Self:
        self.before = {int(number) for number in signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self.wait(0) is not None:  # unblocked, what still waits would end this process
            pass
        signal.pthread_sigmask(signal.SIG_SETMASK, self.before)

    def wait(self, seconds: float) -> Arrived | None:
        """The next signal; None when none came in time."""
        info = signal.sigtimedwait(self._numbers, max(0.0, seconds))
        return None if info is None else Arrived(info.si_signo, info.si_code == _FROM_KERNEL)
