from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial

import pytest
from opentelemetry import trace

from otelhealth.engine.threads import ThreadLane
from otelhealth.errors import ThreadsBlockedError
from tests.waiting import until


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Sync code that waits for it ends with the test at the latest."""
    event = threading.Event()
    yield event
    event.set()


async def block(lane: ThreadLane, owner: str, gate: threading.Event) -> None:
    """A run of `owner` that is given up while its code still works."""
    working = threading.Event()

    def code() -> None:
        working.set()
        gate.wait()

    task = asyncio.create_task(lane.run(owner, code))
    await until(working.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_sync_code_runs_in_a_daemon_thread_and_gives_its_value() -> None:
    found = await ThreadLane().run("a", threading.current_thread)
    assert found.daemon
    assert found is not threading.current_thread()


async def test_what_sync_code_raises_comes_to_the_caller_even_a_stop_iteration_or_an_exit() -> None:
    def leave() -> None:
        sys.exit(3)

    lane = ThreadLane()
    with pytest.raises(ZeroDivisionError):
        await lane.run("a", lambda: 1 / 0)
    with pytest.raises(RuntimeError, match="StopIteration"):
        await lane.run("a", lambda: next(iter(())))
    with pytest.raises(SystemExit):
        await lane.run("a", leave)
    assert await lane.run("a", lambda: 1) == 1


async def test_sync_code_sees_the_span_of_its_run() -> None:
    span = trace.NonRecordingSpan(trace.SpanContext(7, 8, is_remote=False))
    with trace.use_span(span):
        seen = await ThreadLane().run("a", lambda: trace.get_current_span().get_span_context().trace_id)
    assert seen == 7


async def test_a_check_never_holds_two_threads(gate: threading.Event) -> None:
    lane = ThreadLane()
    await block(lane, "a", gate)
    assert (lane.blocked, lane.blocked_owners) == (1, ("a",))
    with pytest.raises(
        ThreadsBlockedError, match=r"an earlier run of a was given up .* ago and still blocks its thread"
    ):
        await lane.run("a", lambda: 1)
    gate.set()
    await until(lambda: lane.blocked == 0)
    assert await lane.run("a", lambda: 1) == 1


async def test_two_calls_of_one_check_at_a_time_are_refused(gate: threading.Event) -> None:
    lane = ThreadLane()
    first = asyncio.create_task(lane.run("a", gate.wait))
    await asyncio.sleep(0)
    with pytest.raises(ThreadsBlockedError, match="a already uses a thread"):
        await lane.run("a", lambda: 1)
    gate.set()
    assert await first


async def test_beyond_the_bound_of_blocked_threads_sync_checks_are_refused_loudly(
    gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    lane = ThreadLane(most_blocked=3)
    for number in range(3):
        await block(lane, f"c{number}", gate)
    for _ in range(2):
        with pytest.raises(ThreadsBlockedError, match="3 threads are blocked by sync checks that do not end"):
            await lane.run("other", lambda: 1)
    assert caplog.text.count("further sync checks are unknown. They are: c0, c1, c2") == 1
    gate.set()
    await until(lambda: lane.blocked == 0)
    assert await lane.run("other", lambda: 1) == 1


async def test_blocked_threads_leave_room_for_others(gate: threading.Event) -> None:
    lane = ThreadLane()
    await asyncio.gather(*(block(lane, f"c{number}", gate) for number in range(60)))
    assert await lane.run("other", lambda: 1) == 1


async def test_calls_beyond_the_bound_wait_their_turn(gate: threading.Event) -> None:
    lags: list[tuple[str, float]] = []
    lane = ThreadLane(threads=2, lag=lambda name, seconds: lags.append((name, seconds)))
    begun: list[int] = []

    def code(number: int) -> None:
        begun.append(number)
        gate.wait()

    tasks = [asyncio.create_task(lane.run(f"c{number}", partial(code, number))) for number in range(6)]
    await until(lambda: len(begun) == 2)
    assert sorted(begun) == [0, 1]
    assert lane.running == {"thread": 2}
    gate.set()
    await asyncio.gather(*tasks)
    assert sorted(begun) == list(range(6))
    assert [name for name, _ in lags] == ["thread"] * 6


async def test_a_call_given_up_while_it_waits_never_works_and_blocks_nothing(gate: threading.Event) -> None:
    lane = ThreadLane(threads=1)
    worked = []
    first = asyncio.create_task(lane.run("first", gate.wait))
    waiting = asyncio.create_task(lane.run("waits", lambda: worked.append(1)))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert lane.blocked == 0
    gate.set()
    await first
    assert await lane.run("waits", lambda: 2) == 2
    assert worked == []


async def test_few_threads_are_kept_when_nothing_is_to_do(gate: threading.Event) -> None:
    def count() -> int:
        return sum(thread.name.startswith("otelhealth-check") for thread in threading.enumerate())

    before = count()
    lane = ThreadLane()
    tasks = [asyncio.create_task(lane.run(f"c{number}", gate.wait)) for number in range(40)]
    await until(lambda: lane.running == {"thread": 40})
    gate.set()
    await asyncio.gather(*tasks)
    await until(lambda: count() - before <= 4)


def test_the_process_ends_while_threads_are_blocked() -> None:
    program = """
import asyncio, time
from otelhealth.engine.threads import ThreadLane
async def main():
    try:
        async with asyncio.timeout(0.2):
            await ThreadLane().run("a", lambda: time.sleep(600))
    except TimeoutError:
        print("given up")
asyncio.run(main())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ended.stdout == "given up\n"
