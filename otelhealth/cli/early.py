"""Signals before there is an agent to mind them: none is lost, none ends the process with a traceback."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_MINDED = [number for name in ("SIGHUP", "SIGTERM", "SIGINT") if (number := getattr(signal, name, None)) is not None]
_heard: set[int] = set()


class _Interrupt(KeyboardInterrupt):
    """Not a plain one: raised in a text that `exec` runs, of which dataclasses are made, that has Python end by SIGINT
    though it was caught."""


@contextmanager
def minding() -> Iterator[None]:
    """Within it SIGTERM and SIGINT raise KeyboardInterrupt, and SIGHUP is remembered, until others mind them."""
    try:
        before = {number: signal.signal(number, _hear) for number in _MINDED}
    except ValueError:  # only the main thread may say what a signal does
        before = {}
    try:
        yield
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is _hear:
                signal.signal(number, handler)


def heard(number: int) -> bool:
    """Whether it came; also where what it raised was swallowed, as in a callback of the garbage collector."""
    return number in _heard


def _hear(number: int, _: FrameType | None) -> None:
    _heard.add(number)
    if number in (signal.SIGTERM, signal.SIGINT):
        raise _Interrupt
