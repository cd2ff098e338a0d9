from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider

from otelhealth.checks.base import Context, failed, passed, warned
from otelhealth.clock import SYSTEM
from otelhealth.engine.runner import Runner
from otelhealth.engine.threads import ThreadLane
from otelhealth.errors import MissingLibraryError, ProbeError
from otelhealth.model import CheckResult, Status, Surroundings
from tests.engine.samples import Probe, Sample, measured, sample
from tests.waiting import until

TRACER = TracerProvider().get_tracer("tests")


def runner() -> Runner:
    return Runner(SYSTEM, ThreadLane(), Surroundings(), TRACER)


async def run(check: Sample, act: Probe, using: Runner | None = None) -> CheckResult:
    return await (using or runner()).run(check.doing(act), trace.INVALID_SPAN)


async def hang(_: Context) -> CheckResult:
    await asyncio.Event().wait()
    raise AssertionError


def raising(error: BaseException) -> Probe:
    async def act(_: Context) -> CheckResult:
        raise error

    return act


async def test_a_run_says_who_when_and_how_long() -> None:
    async def act(ctx: Context) -> CheckResult:
        ctx.log("connected")
        await asyncio.sleep(0.02)
        return passed("fine")

    before = time.time()
    result = await run(sample("db"), act)
    assert (result.status, result.message, result.name, result.attempts) == (Status.PASS, "fine", "db", 1)
    assert before <= result.started <= time.time()
    assert 0.015 < result.duration < 5
    assert result.log == ("connected",)
    assert (result.trace_id, result.span_id) == ("", "")


async def test_the_root_span_is_current_in_the_probe_and_named_by_the_result() -> None:
    seen = []

    async def act(ctx: Context) -> CheckResult:
        seen.append(trace.get_current_span())
        assert await ctx.in_thread(trace.get_current_span) is seen[0]
        return passed("fine")

    span = TRACER.start_span("check db")
    result = await runner().run(sample().doing(act), span)
    assert seen == [span]
    assert result.trace_id == f"{span.get_span_context().trace_id:032x}"
    assert result.span_id == f"{span.get_span_context().span_id:016x}"
    assert trace.get_current_span() is trace.INVALID_SPAN


@pytest.mark.parametrize(
    ("error", "status", "error_type", "message"),
    [
        (ProbeError("connection_refused", "127.0.0.1:1 refused"), "fail", "connection_refused", "127.0.0.1:1 refused"),
        (TimeoutError(), "fail", "timeout", "timed out"),
        (ExceptionGroup("all", [ProbeError("503", "it said 503")]), "fail", "503", "it said 503"),
        (MissingLibraryError("redis", "redis"), "unknown", "missing_library", "redis is not installed; pip install"),
        (KeyError("x"), "unknown", "KeyError", "KeyError: 'x'"),
        (SystemExit(1), "unknown", "SystemExit", "SystemExit: 1"),
        (asyncio.CancelledError(), "unknown", "CancelledError", "the probe cancelled itself"),
        (
            ValueError("postgres://joe:secret@db/x is bad"),
            "unknown",
            "ValueError",
            "ValueError: postgres://***@db/x is",
        ),
    ],
)
async def test_what_a_probe_raises_has_a_meaning(
    error: BaseException, status: str, error_type: str, message: str
) -> None:
    result = await run(sample(), raising(error))
    assert (result.status, result.error_type) == (status, error_type)
    assert result.message.startswith(message)
    assert "secret" not in str(result)


async def test_the_line_that_raised_is_kept_with_the_result() -> None:
    result = await run(sample(), raising(KeyError("x")))
    assert "test_runner.py:" in result.log[-1]
    assert "KeyError: 'x'" in result.log[-1]


async def test_a_probe_that_returns_something_else_is_unknown() -> None:
    async def act(_: Context) -> CheckResult:
        return None  # type: ignore[return-value]  # what a careless author does

    result = await run(sample(), act)
    assert (result.status, result.error_type) == (Status.UNKNOWN, "bad_result")
    assert result.message == "the probe returned NoneType, no CheckResult"


async def test_a_probe_that_does_not_answer_fails_at_its_deadline_and_closes_what_it_opened() -> None:
    closed = []

    async def act(ctx: Context) -> CheckResult:
        try:
            return await hang(ctx)
        finally:
            closed.append(ctx.remaining())

    result = await run(sample(timeout="100ms"), act)
    assert (result.status, result.error_type) == (Status.FAIL, "timeout")
    assert result.message == "not done within 100ms"
    assert 0.09 < result.duration < 5
    assert closed == [0.0]


async def test_a_probe_that_ignores_its_cancellation_does_not_hold_up_its_run(
    caplog: pytest.LogCaptureFixture,
) -> None:
    release = asyncio.Event()

    async def act(_: Context) -> CheckResult:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        return passed("at last")

    using, check = runner(), sample(timeout="50ms")
    first, again = await run(check, act, using), await run(check, act, using)
    release.set()
    assert (first.status, first.error_type) == (Status.FAIL, "timeout")
    assert (again.status, again.error_type) == (Status.UNKNOWN, "stuck")
    assert "ignores its cancellation" in caplog.text
    await until(lambda: not using.stuck)
    assert (await run(check, act, using)).status is Status.PASS


async def test_a_cancelled_run_cancels_its_probe_and_stays_cancelled() -> None:
    begun, closed = asyncio.Event(), asyncio.Event()

    async def act(ctx: Context) -> CheckResult:
        begun.set()
        try:
            return await hang(ctx)
        finally:
            closed.set()

    task = asyncio.create_task(run(sample(), act))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed.is_set()


async def test_a_failing_run_is_tried_again_with_a_pause_and_a_deadline_for_each() -> None:
    begun: list[float] = []

    async def act(ctx: Context) -> CheckResult:
        begun.append(time.monotonic())
        ctx.log(f"attempt {len(begun)}")
        if len(begun) == 1:
            return await hang(ctx)
        return failed("503", "it said 503") if len(begun) == 2 else passed("fine")

    result = await run(sample(timeout="100ms", retries=5, retry_delay="50ms"), act)
    assert (result.status, result.attempts, len(begun)) == (Status.PASS, 3, 3)
    assert result.log == ("attempt 1", "attempt 2", "attempt 3")
    assert begun[1] - begun[0] > 0.14
    assert begun[2] - begun[1] > 0.04
    assert result.duration < 0.09


async def test_retries_end() -> None:
    result = await run(sample(retries=2, retry_delay="1ms"), raising(ProbeError("x", "no")))
    assert (result.status, result.attempts) == (Status.FAIL, 3)


async def test_only_failures_are_tried_again() -> None:
    async def act(_: Context) -> CheckResult:
        return warned("old", "it is old")

    assert (await run(sample(retries=2), act)).attempts == 1
    assert (await run(sample(retries=2), raising(KeyError()))).attempts == 1


async def test_a_retry_that_finds_its_thread_blocked_leaves_the_timeout_as_the_answer() -> None:
    gate = threading.Event()

    async def act(ctx: Context) -> CheckResult:
        await ctx.in_thread(gate.wait)
        return passed("fine")

    using = runner()
    check = sample(timeout="50ms", retries=1, retry_delay="1ms")
    result = await run(check, act, using)
    assert (result.status, result.error_type, result.attempts) == (Status.FAIL, "timeout", 1)
    again = await run(check, act, using)
    gate.set()
    assert (again.status, again.error_type) == (Status.UNKNOWN, "threads_blocked")


async def test_sync_code_that_leaves_the_process_only_makes_its_check_unknown() -> None:
    async def act(ctx: Context) -> CheckResult:
        await ctx.in_thread(lambda: sys.exit(1))
        return passed("fine")

    assert (await run(sample(), act)).error_type == "SystemExit"


@pytest.mark.parametrize(("value", "status"), [(0.5, "pass"), (0.9, "warn"), (0.99, "fail")])
async def test_levels_judge_a_measurement(value: float, status: str) -> None:
    async def act(_: Context) -> CheckResult:
        return measured(value)

    check = sample(levels={"utilization": {"warn": "> 85%", "fail": "> 95%"}})
    result = await run(check, act)
    assert (result.status, result.measurements[0].status) == (status, status)


async def test_new_settings_bring_new_levels() -> None:
    async def act(_: Context) -> CheckResult:
        return measured(0.5)

    using = runner()
    assert (await run(sample(), act, using)).status is Status.PASS
    assert (await run(sample(levels={"utilization": {"warn": "> 1%"}}), act, using)).status is Status.WARN


async def test_a_passing_run_that_takes_too_long_warns() -> None:
    async def act(_: Context) -> CheckResult:
        await asyncio.sleep(0.02)
        return passed("fine")

    result = await run(sample(threshold={"max_response_time": "10ms"}), act)
    assert (result.status, result.error_type) == (Status.WARN, "slow_response")
    assert result.message.endswith("above 10ms (fine)")


async def test_a_checks_memory_lives_until_it_is_forgotten() -> None:
    async def act(ctx: Context) -> CheckResult:
        ctx.memory["runs"] = ctx.memory.get("runs", 0) + 1
        return passed(str(ctx.memory["runs"]))

    using = runner()
    assert [(await run(sample(), act, using)).message for _ in range(2)] == ["1", "2"]
    using.forget("db")
    assert (await run(sample(), act, using)).message == "1"


class EndsAllError(BaseException):
    """As gevent.Timeout and pytest's own: no Exception."""


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise ValueError


async def test_an_exception_of_any_base_makes_a_result() -> None:
    result = await run(sample("db"), raising(EndsAllError("over")))
    assert (result.status, result.message, result.error_type) == (Status.UNKNOWN, "EndsAllError: over", "EndsAllError")


async def test_an_exception_that_cannot_be_told_makes_a_result() -> None:
    result = await run(sample("db"), raising(SpeechlessError()))
    assert (result.status, result.message) == (Status.UNKNOWN, "SpeechlessError: its text raised ValueError")


async def test_a_result_that_nobody_could_tell_is_unknown() -> None:
    async def act(_: Context) -> CheckResult:
        return passed("fine", details=[1])  # type: ignore[arg-type]  # what a careless author does

    result = await run(sample("db"), act)
    assert (result.status, result.error_type) == (Status.UNKNOWN, "bad_result")
    assert result.message == "the probe returned a result that is none: details that are a list"


async def test_what_a_target_says_forges_no_line_of_a_log() -> None:
    result = await run(sample("db"), raising(ProbeError("refused", "said no\nERROR forged\x1b[2J")))
    assert (result.status, result.message) == (Status.FAIL, "said no ERROR forged [2J")


async def test_the_traceback_of_a_debug_log_hides_user_info(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "otelhealth.runner"):
        await run(sample("db"), raising(ValueError("no way to redis://me:s3cret@db:1")))
    assert "ValueError: no way to redis://***@db:1" in caplog.text
    assert "s3cret" not in caplog.text
