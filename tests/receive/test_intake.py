"""The thread that keeps what was received: how it goes on when the ground gives way."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import pytest

from otelhealth.clock import SYSTEM
from otelhealth.server import intake
from otelhealth.server.intake import BROKEN, SLOW, Intake
from otelhealth.spool import Letter, SignalName
from otelhealth.spool.settings import SIGNALS
from otelhealth.telemetry.follower import Follower
from otelhealth.telemetry.requests import Requests
from otelhealth.telemetry.windows import Windows


class Disk:
    """A spool that keeps what it is given once `free` is set, and breaks down as often as told."""

    def __init__(self, breakdowns: int = 0) -> None:
        self.free = threading.Event()
        self.breakdowns = breakdowns
        self.commits: list[int] = []

    @property
    def signals(self) -> Collection[SignalName]:
        return SIGNALS

    def keep_received(self, letters: Sequence[Letter]) -> Sequence[bool]:
        if self.breakdowns:
            self.breakdowns -= 1
            raise MemoryError
        self.free.wait(30)
        self.commits.append(len(letters))
        return [True] * len(letters)


@asynccontextmanager
async def taking(disk: Disk) -> AsyncIterator[Intake]:
    taking = Intake(disk, Follower(Requests(Windows(SYSTEM), SYSTEM), 1000), 1000)
    taking.start()
    yield taking
    disk.free.set()
    taking.stop()


async def test_what_comes_while_the_disk_is_busy_is_kept_in_one_commit() -> None:
    disk = Disk()
    async with taking(disk) as to:
        senders = [asyncio.ensure_future(to.take(Letter("traces", b""))) for _ in range(40)]
        await asyncio.sleep(0)
        disk.free.set()
        assert await asyncio.gather(*senders) == [None] * 40
    assert disk.commits == [1, 39]


async def test_a_breakdown_sends_its_senders_away_for_a_while_and_the_next_are_served(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[type[BaseException]] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: seen.append(arguments.exc_type))
    disk = Disk(breakdowns=2)
    disk.free.set()
    async with taking(disk) as to:
        assert [await to.take(Letter("logs", b"")) for _ in range(3)] == [BROKEN, BROKEN, None]
    assert seen == [MemoryError, MemoryError]


async def test_a_disk_that_hangs_holds_no_sender_for_longer_than_he_would_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And what nobody waits for any more is not kept: its sender comes again."""
    monkeypatch.setattr(intake, "PATIENCE", 0.2)
    disk = Disk()
    async with taking(disk) as to:
        assert [await to.take(Letter("logs", b"")) for _ in range(3)] == [SLOW] * 3
        disk.free.set()
        assert await to.take(Letter("logs", b"")) is None
    assert disk.commits == [1, 1]
