from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from opentelemetry import trace

from otelhealth.checks.base import Check
from otelhealth.clock import SYSTEM, ManualClock
from otelhealth.engine.lanes import Limits
from otelhealth.engine.scheduler import Scheduler
from tests.engine.samples import sample
from tests.waiting import until


class Watched:
    """A scheduler, and what it did."""

    def __init__(self, act: Callable[[str], Awaitable[object]] | None = None, limits: Limits | None = None) -> None:
        self.runs: Counter[str] = Counter()
        self.dues: list[float] = []
        self.lags: list[tuple[str, float]] = []
        self.skipped: Counter[str] = Counter()
        self.woken: list[float] = []
        self.ended: Counter[str] = Counter()
        self._act = act
        self.scheduler = Scheduler(
            self.beat,
            SYSTEM,
            limits=limits,
            lag=lambda lane, seconds: self.lags.append((lane, seconds)),
            skipped=lambda reason, count: self.skipped.update({reason: count}),
            woke=self.woken.append,
        )

    async def beat(self, check: Check, due: float) -> None:
        assert due <= time.monotonic()
        self.runs[check.name] += 1
        self.dues.append(due)
        try:
            if self._act:
                await self._act(check.name)
        finally:
            self.ended[check.name] += 1

    @asynccontextmanager
    async def going(self) -> AsyncIterator[Scheduler]:
        task = asyncio.create_task(self.scheduler.run())
        try:
            yield self.scheduler
        finally:
            await self.scheduler.stop()
            await task


async def for_ever(_: str) -> None:
    await asyncio.Event().wait()


async def test_each_check_runs_again_and_again() -> None:
    watched = Watched()
    for name in ("a", "b", "c"):
        watched.scheduler.add(sample(name, every="100ms"))
    async with watched.going():
        await until(lambda: min(watched.runs[name] for name in "abc") >= 4)
    assert all(lane == "fast" and seconds < 5 for lane, seconds in watched.lags)


async def test_runs_of_one_check_never_overlap_and_skipped_ones_are_counted() -> None:
    watched = Watched(for_ever)
    async with watched.going() as scheduler:
        scheduler.add(sample("stuck", every="100ms"))
        await until(lambda: watched.skipped["overlap"] >= 3)
        assert watched.runs["stuck"] == 1
        assert scheduler.is_running("stuck")
        assert scheduler.running == {"fast": 0, "slow": 1}


async def test_a_thousand_hanging_checks_do_not_delay_the_others() -> None:
    async def act(name: str) -> None:
        if name.startswith("dead"):
            await asyncio.Event().wait()

    watched = Watched(act)
    late: list[float] = []
    for number in range(1000):
        watched.scheduler.add(sample(f"dead{number}", every="1s"))
    for number in range(20):
        watched.scheduler.add(sample(f"live{number}", every="500ms"))
    async with watched.going() as scheduler:
        await until(lambda: sum(watched.runs[f"dead{number}"] for number in range(1000)) == 1000)
        before = watched.runs.copy()
        await until(lambda: all(watched.runs[f"live{n}"] - before[f"live{n}"] >= 3 for n in range(20)))
        assert sum(scheduler.running.values()) >= 1000
    late = [seconds for lane, seconds in watched.lags if lane == "fast"]
    assert sorted(late)[int(len(late) * 0.99)] < 2.0


async def test_a_check_sent_to_the_slow_lane_runs_there() -> None:
    watched = Watched()
    async with watched.going() as scheduler:
        scheduler.add(sample("dead", every="100ms"))
        scheduler.slow("dead", True)
        scheduler.slow("strange", True)
        await until(lambda: watched.runs["dead"] >= 2)
    assert {lane for lane, _ in watched.lags} == {"slow"}


async def test_a_removed_check_is_cancelled_and_never_runs_again() -> None:
    watched = Watched(for_ever)
    async with watched.going() as scheduler:
        scheduler.add(sample("gone", every="100ms"))
        await until(lambda: watched.runs["gone"])
        scheduler.remove("gone")
        scheduler.remove("strange")
        await until(lambda: watched.ended["gone"])
        assert sum(scheduler.running.values()) == 0


async def test_a_removed_check_that_waits_for_room_leaves_the_lane_to_others() -> None:
    watched = Watched(for_ever, Limits(fast=1, slow=1, tier1_share=0, patience=60))
    async with watched.going() as scheduler:
        scheduler.add(sample("first"), first=0)
        await until(lambda: watched.runs["first"])
        scheduler.add(sample("gone"), first=0)
        scheduler.add(sample("next"), first=0.05)
        await until(lambda: scheduler.waiting == 2)
        scheduler.remove("gone")
        scheduler.remove("first")
        await until(lambda: watched.runs["next"])
    assert watched.runs["gone"] == 0


async def test_running_once_waits_for_the_end_and_joins_a_run_that_goes() -> None:
    release = asyncio.Event()

    async def act(_: str) -> None:
        await release.wait()

    watched = Watched(act)
    watched.scheduler.add(sample("a", every="1h"))
    both = asyncio.gather(watched.scheduler.once("a"), watched.scheduler.once("a"))
    await until(lambda: watched.runs["a"])
    assert not both.done()
    release.set()
    await both
    assert watched.runs["a"] == 1
    with pytest.raises(KeyError):
        await watched.scheduler.once("strange")


async def test_new_settings_are_followed() -> None:
    watched = Watched()
    async with watched.going() as scheduler:
        scheduler.add(sample("a", every="1h"), first=3000)
        scheduler.replace(sample("a", every="100ms"))
        await until(lambda: watched.runs["a"] > 2)


async def test_a_hurried_check_runs_faster() -> None:
    async def act(name: str) -> None:
        watched.scheduler.hurry(name, True)

    watched = Watched(act)
    async with watched.going() as scheduler:
        scheduler.add(sample("a", every="5s"), first=0)
        await until(lambda: watched.runs["a"] >= 2)
        first, second = watched.dues[:2]
        assert 0.9 < second - first < 4


async def test_a_beat_that_fails_is_logged_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    async def act(_: str) -> None:
        raise RuntimeError("a bug of ours")

    watched = Watched(act)
    async with watched.going() as scheduler:
        scheduler.add(sample("a", every="100ms"))
        await until(lambda: watched.runs["a"] >= 2)
    assert any(
        record.levelno == logging.ERROR and "the beat of check a failed" in record.message for record in caplog.records
    )


async def test_a_run_has_the_span_of_whoever_asked_for_it_and_none_of_whoever_added_its_check() -> None:
    seen = []

    async def act(_: str) -> None:
        seen.append(trace.get_current_span().get_span_context().is_valid)

    watched = Watched(act)
    request = trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=False))
    async with watched.going() as scheduler:
        with trace.use_span(request):
            scheduler.add(sample("a", every="100ms"))
            await scheduler.once("a")
        await until(lambda: watched.runs["a"] >= 3)
    assert seen[0]
    assert not any(seen[1:])


async def test_stopping_cancels_what_runs_and_waits_for_it_to_close() -> None:
    closed = []

    async def act(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            closed.append(name)

    watched = Watched(act)
    async with watched.going() as scheduler:
        scheduler.add(sample("a", every="100ms"))
        await until(lambda: watched.runs["a"])
    assert closed == ["a"]


async def test_stopping_does_not_wait_for_ever(caplog: pytest.LogCaptureFixture) -> None:
    release = asyncio.Event()

    async def act(_: str) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    watched = Watched(act)
    async with watched.going() as scheduler:
        scheduler.add(sample("stubborn", every="100ms"))
        await until(lambda: watched.runs["stubborn"])
        began = time.monotonic()
        await scheduler.stop()
        assert 1.5 < time.monotonic() - began < 10
    release.set()
    await until(lambda: watched.ended["stubborn"])
    assert "did not end within" in caplog.text


async def test_it_wakes_with_nothing_to_start_too_and_tells_how_late() -> None:
    watched = Watched()
    async with watched.going():
        await until(lambda: len(watched.woken) >= 1)
        asyncio.get_running_loop().call_later(0.7, time.sleep, 0.8)  # across its next waking, a second after this one
        await until(lambda: len(watched.woken) >= 2)
    assert watched.woken[0] < 0.5 <= watched.woken[1]


async def test_a_jump_of_the_wall_clock_is_told() -> None:
    clock = ManualClock()
    jumps: list[float] = []

    async def beat(_check: Check, _due: float) -> None:
        return

    scheduler = Scheduler(beat, clock, jumped=jumps.append)
    task = asyncio.create_task(scheduler.run())
    clock.jump(-3600)
    await until(lambda: jumps)
    await scheduler.stop()
    await task
    assert jumps == [-3600]


async def test_a_stall_is_told_as_missed_runs() -> None:
    clock = ManualClock()
    skipped: Counter[str] = Counter()

    async def beat(_check: Check, _due: float) -> None:
        return

    scheduler = Scheduler(beat, clock, skipped=lambda reason, count: skipped.update({reason: count}))
    scheduler.add(sample("a", every="10s"))
    task = asyncio.create_task(scheduler.run())
    clock.advance(1000)
    await until(lambda: skipped["missed"])
    await scheduler.stop()
    await task
    assert 98 <= skipped["missed"] <= 100
