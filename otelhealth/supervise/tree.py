"""The processes below this one, and their end."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import psutil


def below(spared: int | None) -> list[psutil.Process]:
    """All living descendants of this process, without `spared` and what is below it."""
    found = {process.pid: process for process in _descendants(os.getpid())}
    if spared is not None:
        for pid in (spared, *(process.pid for process in _descendants(spared))):
            found.pop(pid, None)
    return [process for process in found.values() if _lives(process)]


def send(processes: list[psutil.Process], number: signal.Signals) -> None:
    """A signal to each that still runs; psutil does not take a newer process of the same pid for it."""
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)


def _descendants(pid: int) -> Iterator[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        yield from psutil.Process(pid).children(recursive=True)


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() not in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD))
    except psutil.NoSuchProcess:
        return False
