"""Runs one check: attempts with a deadline each, judged against its levels. Whatever the probe does, a result comes."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable
from typing import Any

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.trace import Span, Tracer

from otelhealth.checks.base import Check, Context
from otelhealth.checks.levels import LevelJudge
from otelhealth.clock import Clock
from otelhealth.engine.sound import sound, told_by
from otelhealth.engine.telling import unheard
from otelhealth.errors import MissingLibraryError, OtelHealthError, ProbeError, ThreadsBlockedError, one_line, redacted
from otelhealth.model import CheckResult, Status, Surroundings, Threads
from otelhealth.redaction import Redactor
from otelhealth.units import duration_text

CLOSING = 1.0  # s that a probe has to close what it opened, once cancelled
TIMEOUT = "timeout"
BAD_RESULT = "bad_result"
log = logging.getLogger("otelhealth.runner")


class Attempt:
    """One probe in a task of its own, so that one which ignores its cancellation cannot hold up its run for ever."""

    __slots__ = ("_loop", "_task", "_timer", "_waiter", "timed_out")

    def __init__(self, check: Check, ctx: Context) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] = self._loop.create_future()
        self.timed_out = False
        self._timer = self._loop.call_later(check.timeout, self._deadline)
        self._task = self._loop.create_task(_act(check, ctx))
        self._task.add_done_callback(self._wake)

    async def result(self) -> CheckResult | None:
        """What came of the probe; None when its deadline passed."""
        try:
            await self._waiter
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=CLOSING)
            raise
        finally:
            self._timer.cancel()
        if self.timed_out:
            return None
        if self._task.cancelled():
            return CheckResult(Status.UNKNOWN, "the probe cancelled itself", "CancelledError")
        return self._task.result()

    @property
    def stuck(self) -> asyncio.Task[CheckResult] | None:
        """The task, while it runs on in spite of its cancellation."""
        return None if self._task.done() else self._task

    def _deadline(self) -> None:
        if not self._task.done():
            self.timed_out = True
            self._task.cancel()
            self._timer = self._loop.call_later(CLOSING, self._wake)

    def _wake(self, _: object = None) -> None:
        if not self._waiter.done():
            self._waiter.set_result(None)


async def _act(check: Check, ctx: Context) -> CheckResult:
    """The probe and what its exceptions mean."""
    try:
        result: object = await check.probe(ctx)
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:  # noqa: BLE001 - whatever a probe raises, a run gives a result
        result = outcome(error, ctx)
    if not isinstance(result, CheckResult):
        return CheckResult(Status.UNKNOWN, f"the probe returned {type(result).__name__}, no CheckResult", BAD_RESULT)
    try:
        return sound(result)
    except Exception as error:  # noqa: BLE001 - a user's objects may raise anything where they are read
        return CheckResult(Status.UNKNOWN, f"the probe returned a result that is none: {_said(error)}", BAD_RESULT)


class Runner:
    """Gives each run its deadline, retries, judge and identity; keeps each check's memory between runs."""

    def __init__(  # noqa: PLR0913, PLR0917 - the rooms that a run needs
        self,
        clock: Clock,
        threads: Threads,
        surroundings: Surroundings,
        tracer: Tracer,
        raised: Callable[[Check, CheckResult, BaseException], None] = unheard,
        redact: Redactor | None = None,
    ) -> None:
        self._redact = Redactor() if redact is None else redact
        self._raised = raised
        self._clock = clock
        self._threads = threads
        self._surroundings = surroundings
        self._tracer = tracer
        self._memory: dict[str, dict[str, Any]] = {}
        self._judges: dict[str, tuple[Check, LevelJudge]] = {}
        self._stuck: dict[str, asyncio.Task[CheckResult]] = {}

    @property
    def stuck(self) -> tuple[str, ...]:
        """The checks whose probe runs on in spite of its cancellation."""
        return tuple(self._stuck)

    def forget(self, name: str) -> None:
        """Drop what was kept of a check that is gone or is to start afresh."""
        self._memory.pop(name, None)
        self._judges.pop(name, None)

    async def run(self, check: Check, span: Span) -> CheckResult:
        """One run with its retries; never raises but for its own cancellation.

        `started` is that of the first attempt, `duration` and the findings are those of the last one. `span` (the
        run's root) is current inside the probe.
        """
        started = self._clock.time()
        attempts = 1
        result, duration, ctx = await self._attempt(check, span)
        lines = ctx.lines
        while result.status is Status.FAIL and attempts <= check.retries:
            await asyncio.sleep(check.retry_delay)
            again, seconds, ctx = await self._attempt(check, span)
            if again.error_type == "threads_blocked":
                break  # its own timed-out attempt holds the thread: that one is the answer
            result, duration, lines = again, seconds, (lines + ctx.lines)[:100]
            attempts += 1
        identity = span.get_span_context()
        found = CheckResult(
            result.status,
            result.message,
            result.error_type,
            result.measurements,
            result.details,
            check.name,
            started,
            duration,
            attempts,
            f"{identity.trace_id:032x}" if identity.trace_id else "",
            f"{identity.span_id:016x}" if identity.span_id else "",
            lines or result.log,
        )
        told = told_by(found, self._redact)
        if ctx.error is not None:
            self._tell(check, told, ctx.error)
        return told

    def _tell(self, check: Check, told: CheckResult, error: BaseException) -> None:
        self._raised(check, told, error)
        if log.isEnabledFor(logging.DEBUG):  # not by exc_info: the exception's text may hold a secret
            trace_back = self._redact(redacted("".join(traceback.format_exception(error))))
            made_in = {"trace_id": told.trace_id, "span_id": told.span_id}
            extra = {"exception.stacktrace": trace_back, **made_in}
            log.debug("check %s raised %s", check.name, told.message, extra=extra)

    async def _attempt(self, check: Check, span: Span) -> tuple[CheckResult, float, Context]:
        begun = self._clock.monotonic()
        ctx = Context(
            check.name,
            clock=self._clock,
            deadline=begun + check.timeout,
            memory=self._memory.setdefault(check.name, {}),
            threads=self._threads,
            surroundings=self._surroundings,
            tracer=self._tracer,
            span=span,
            propagate=check.propagate,
        )
        result = await self._probe(check, ctx, span)
        duration = self._clock.monotonic() - begun
        return self._judge(check, result, duration), duration, ctx

    async def _probe(self, check: Check, ctx: Context, span: Span) -> CheckResult:
        if (task := self._stuck.get(check.name)) is not None and not task.done():
            return CheckResult(Status.UNKNOWN, "an earlier run ignores its cancellation and still goes", "stuck")
        token = otel_context.attach(trace.set_span_in_context(span))
        try:
            attempt = Attempt(check, ctx)
        finally:
            otel_context.detach(token)
        result = await attempt.result()
        if result is not None:
            return result
        self._watch_stuck(check.name, attempt.stuck)
        stage = f" ({ctx.lines[-1]})" if ctx.lines else ""
        return CheckResult(Status.FAIL, f"not done within {duration_text(check.timeout)}{stage}", TIMEOUT)

    def _watch_stuck(self, name: str, task: asyncio.Task[CheckResult] | None) -> None:
        if task is None:
            return
        log.error("the probe of check %s ignores its cancellation", name)
        self._stuck[name] = task
        task.add_done_callback(lambda _: self._stuck.pop(name, None))

    def _judge(self, check: Check, result: CheckResult, duration: float) -> CheckResult:
        known = self._judges.get(check.name)
        if known is None or known[0] is not check:
            declared = {quantity.name for quantity in check.quantities}
            known = self._judges[check.name] = (check, LevelJudge(check.levels, check.default_levels, declared))
        if result.status is not Status.UNKNOWN:
            result = known[1].judge(result, duration)
        limit = check.threshold.max_response_time
        if result.status is not Status.PASS or duration <= limit:
            return result
        sentence = f"took {duration_text(duration)}, above {duration_text(limit)}"
        message = f"{sentence} ({result.message})" if result.message else sentence
        return result._replace(status=Status.WARN, message=message, error_type=result.error_type or "slow_response")


def outcome(error: BaseException, ctx: Context) -> CheckResult:
    """What an exception of a probe means: the target's failures are `fail`, all else is `unknown`."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, ProbeError):
        ctx.error = error.__cause__ if error.error_type == type(error.__cause__).__name__ else None
        return CheckResult(Status.FAIL, str(error), error.error_type)
    if isinstance(error, TimeoutError):
        return CheckResult(Status.FAIL, _said(error) or "timed out", TIMEOUT)
    if isinstance(error, MissingLibraryError):
        return CheckResult(Status.UNKNOWN, str(error), "missing_library")
    if isinstance(error, ThreadsBlockedError):
        return CheckResult(Status.UNKNOWN, str(error), "threads_blocked")
    if isinstance(error, OtelHealthError):
        return CheckResult(Status.UNKNOWN, str(error), type(error).__name__)
    name, said = type(error).__name__, _said(error)
    ctx.error = error
    ctx.log(_where(error))
    return CheckResult(Status.UNKNOWN, f"{name}: {said}" if said else name, name)


def _said(error: BaseException) -> str:
    try:
        return one_line(redacted(str(error)), 300)
    except Exception as again:  # noqa: BLE001 - an exception's text is a user's code too
        return f"its text raised {type(again).__name__}"


def _where(error: BaseException) -> str:
    """The innermost line of the traceback, and the exception."""
    trail = error.__traceback__
    while trail is not None and trail.tb_next is not None:
        trail = trail.tb_next
    place = f"{trail.tb_frame.f_code.co_filename}:{trail.tb_lineno}: " if trail else ""
    return f"{place}{type(error).__name__}: {_said(error)}"
