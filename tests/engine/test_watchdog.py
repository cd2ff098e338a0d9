"""What blocks the event loop is named, while it does and once; a loop that waits is none that is blocked."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from otelhealth import Agent, check
from otelhealth.clock import SYSTEM
from otelhealth.engine import watchdog
from otelhealth.engine.watchdog import Watchdog
from tests.waiting import eventually, until

QUIET = {"server": {"enabled": False}, "store": {"path": ":memory:"}, "checks": {}}


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(watchdog, "LIMIT", 0.3)
    monkeypatch.setattr(watchdog, "REST", 0.1)
    monkeypatch.setattr(watchdog, "CLOSE", 0.05)
    caplog.set_level(logging.INFO, "otelhealth")


def said(caplog: pytest.LogCaptureFixture, text: str = "blocks the event loop") -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name == "otelhealth.loop" and text in record.getMessage()]


def running(agent: Callable[[], Awaitable[None]], factory: Callable[[], asyncio.AbstractEventLoop]) -> threading.Thread:
    """An agent in a thread and a loop of its own."""

    def run() -> None:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(agent())  # type: ignore[arg-type]  # a coroutine function's

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_check_that_blocks_for_ever_is_named_with_its_line_while_it_blocks(
    factory: Callable[[], asyncio.AbstractEventLoop], caplog: pytest.LogCaptureFixture
) -> None:
    released = threading.Event()
    reports: list[Any] = []

    @check(every="1s", name="greedy")
    async def greedy() -> None:
        released.wait(30)

    async def main() -> None:
        async with Agent(QUIET) as agent:
            agent.add(greedy)
            await until(lambda: agent.report()["checks"]["greedy"]["last_success"])
            reports.extend(agent.report()["agent"]["loop_blocked"])

    thread = running(main, factory)
    [record] = eventually(lambda: said(caplog), within=20)
    time.sleep(0.3)  # further looks say nothing more
    released.set()
    thread.join(30)
    assert not thread.is_alive()
    assert len(said(caplog)) == 1
    assert record.levelno == logging.ERROR
    assert record.getMessage().startswith("check greedy blocks the event loop for ")
    assert re.search(r"test_watchdog\.py:\d+ in test_.*<locals>\.greedy: no other check runs", record.getMessage())
    assert "released.wait(30)" in vars(record)["code.stacktrace"]
    [block] = reports
    assert (block["check"], block["seconds"] > 0.3) == ("greedy", True)
    assert abs(block["since"] - time.time()) < 60


async def test_a_loop_that_stood_still_is_said_once_and_what_did_it_the_next_time(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watchdog, "REST", 60.0)  # at rest it looks too seldom to see it
    async with Agent(QUIET) as agent:
        await asyncio.sleep(0.2)
        blocks_the_loop(1.6)
        await until(lambda: said(caplog, "stood still"))
        assert agent.report()["agent"]["loop_blocked"] == []
        blocks_the_loop(1.6)
        blocks_the_loop(1.6)
        await until(lambda: len(agent.report()["agent"]["loop_blocked"]) == 1)
        [block] = agent.report()["agent"]["loop_blocked"]
    [record] = said(caplog)
    assert record.getMessage().startswith("code of this process blocks the event loop")
    assert "blocks_the_loop" in block["where"]
    assert block["check"] is None
    assert len(said(caplog, "stood still")) == 1


def blocks_the_loop(seconds: float) -> None:
    time.sleep(seconds)


async def test_a_loop_that_waits_is_not_blocked(caplog: pytest.LogCaptureFixture) -> None:
    """As one whose process was stopped: it is late, and no code is to blame."""
    dog = Watchdog(lambda: 100.0, SYSTEM)
    with dog.watching():
        await asyncio.sleep(0.6)
    assert said(caplog) == []


async def test_an_agent_that_is_well_is_not_blamed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    checks = {f"load-{number}": {"kind": "load", "every": "100ms"} for number in range(20)}
    async with Agent(QUIET | {"checks": checks, "store": {"path": str(tmp_path / "store.db")}}) as agent:
        await asyncio.sleep(1.0)
        assert agent.report()["agent"]["loop_blocked"] == []
    assert said(caplog) == []  # that its loop stood still is true where the machine gave no CPU


async def test_the_thread_ends_with_the_agent() -> None:
    def watching() -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread.name == "otelhealth-watchdog"]

    await until(lambda: not watching())
    async with Agent(QUIET):
        await until(watching)
    await until(lambda: not watching())
