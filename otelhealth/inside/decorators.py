"""A user's own functions, watched through the OpenTelemetry API: without an agent or an SDK they just run."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any, TypeVar, cast, overload

from opentelemetry import _logs, metrics, trace
from opentelemetry._logs import SeverityNumber
from opentelemetry.trace import Span, StatusCode
from opentelemetry.util.types import AttributeValue

from otelhealth.errors import OtelHealthError
from otelhealth.telemetry import application as told
from otelhealth.telemetry.names import ERROR_TYPE, SCOPE
from otelhealth.telemetry.tracing import exception_type
from otelhealth.version import __version__

F = TypeVar("F", bound=Callable[..., Any])
TIMEOUT = "timeout"
Watch = Callable[[], AbstractContextManager[Any]]  # makes what one call runs in


class trace_call:  # noqa: N801 - read as a function, which it is to its users
    """A span around a block or each call of a function: `with trace_call("load"):` or `@trace_call("load", shelf=3)`.

    What is raised ends it as an error, by its class.
    """

    def __init__(self, name: str, **attributes: AttributeValue) -> None:
        self._name = name
        self._attributes = attributes
        self._tracer = trace.get_tracer(SCOPE, __version__)
        self._entered: list[AbstractContextManager[Span]] = []

    def __enter__(self) -> Span:
        entered = self._span()
        self._entered.append(entered)
        return entered.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._entered.pop().__exit__(kind, error, trace)

    def __call__(self, function: F) -> F:
        return _watched(function, self._span)

    def _span(self) -> AbstractContextManager[Span]:
        return _spanned(self._tracer, self._name, self._attributes)


@overload
def monitor_task(name: F, /) -> F: ...
@overload
def monitor_task(name: str | None = None) -> Callable[[F], F]: ...
def monitor_task(name: str | F | None = None) -> Any:
    """Watch a job: `@monitor_task` or `@monitor_task("nightly export")` on a sync or async function.

    Each run is a span `task NAME`, the events `otelhealth.task.start` and `.success` or `.fail`, and a value of
    `otelhealth.task.duration`. Raises OtelHealthError for a generator.
    """
    if callable(name):
        return _watched(name, _Task(name.__name__))
    return lambda function: _watched(function, _Task(name or function.__name__))


@overload
def monitor_endpoint(name: F, /) -> F: ...
@overload
def monitor_endpoint(name: str | None = None, *, deadline: float | None = None) -> Callable[[F], F]: ...
def monitor_endpoint(name: str | F | None = None, *, deadline: float | None = None) -> Any:
    """Watch what answers requests: `@monitor_endpoint` or `@monitor_endpoint("checkout", deadline=2.0)`.

    Each call is a span `endpoint NAME` and a value of `otelhealth.endpoint.duration`. `deadline` in seconds: an async
    function is ended then by a TimeoutError, a sync one that took longer is an error in the figures only. Answers below
    500 that frameworks raise are no errors. Raises OtelHealthError for a generator.
    """
    if callable(name):
        return _watched(name, _Endpoint(name.__name__, None), None)
    return lambda function: _watched(function, _Endpoint(name or function.__name__, deadline), deadline)


class _Task:
    def __init__(self, name: str) -> None:
        self._name = name
        self._attributes = {told.TASK: name}
        self._tracer = trace.get_tracer(SCOPE, __version__)
        self._logger = _logs.get_logger(SCOPE, __version__)
        self._duration = told.histogram(_meter(), told.TASK_DURATION, told.LONG_SECONDS)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        begun = time.perf_counter()
        with _spanned(self._tracer, f"task {self._name}", self._attributes):
            self._say(told.EVENT_TASK_START, SeverityNumber.INFO, "begins")
            try:
                yield
            except BaseException as error:
                kind = {ERROR_TYPE: exception_type(error)}
                self._say(told.EVENT_TASK_FAIL, SeverityNumber.ERROR, "failed", error, kind)
                self._record(begun, "fail", kind)
                raise
            self._say(told.EVENT_TASK_SUCCESS, SeverityNumber.INFO, "is done")
            self._record(begun, "success", {})

    def _record(self, begun: float, result: str, more: dict[str, str]) -> None:
        self._duration.record(time.perf_counter() - begun, {**self._attributes, told.TASK_RESULT: result, **more})

    def _say(
        self,
        event: str,
        severity: SeverityNumber,
        how: str,
        error: BaseException | None = None,
        more: dict[str, str] | None = None,
    ) -> None:
        self._logger.emit(
            event_name=event,
            timestamp=time.time_ns(),
            severity_number=severity,
            severity_text=severity.name,
            body=f"the task {self._name} {how}",
            attributes={**self._attributes, **(more or {})},
            exception=error,
        )


class _Endpoint:
    def __init__(self, name: str, deadline: float | None) -> None:
        self._name = name
        self._deadline = deadline
        self._attributes = {told.ENDPOINT: name}
        self._tracer = trace.get_tracer(SCOPE, __version__)
        self._duration = told.histogram(_meter(), told.ENDPOINT_DURATION, told.REQUEST_SECONDS)

    @contextmanager
    def __call__(self) -> Iterator[None]:
        begun = time.perf_counter()
        raised: BaseException | None = None
        with _spanned(self._tracer, f"endpoint {self._name}", self._attributes, is_fine=lambda _error: True) as span:
            try:
                yield
            except BaseException as error:
                raised = error
                raise
            finally:
                took = time.perf_counter() - begun
                problem = self._problem(took, raised)
                if problem is not None:
                    _fail(span, problem)
                self._duration.record(took, {**self._attributes, **({ERROR_TYPE: problem} if problem else {})})

    def _problem(self, took: float, raised: BaseException | None) -> str | None:
        if self._deadline is not None and (took >= self._deadline or isinstance(raised, TimeoutError)):
            return TIMEOUT
        return None if raised is None or _is_answer(raised) else exception_type(raised)


@contextmanager
def _spanned(
    tracer: trace.Tracer,
    name: str,
    attributes: dict[str, Any],
    is_fine: Callable[[BaseException], bool] = lambda _error: False,
) -> Iterator[Span]:
    """A span whose error is what is raised in it; the exception itself is left to whoever handles it."""
    with tracer.start_as_current_span(
        name, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except BaseException as error:
            if not is_fine(error):
                _fail(span, exception_type(error))
            raise


def _meter() -> metrics.Meter:
    return metrics.get_meter(SCOPE, __version__)


def _fail(span: Span, problem: str) -> None:
    span.set_attribute(ERROR_TYPE, problem)
    span.set_status(StatusCode.ERROR)


def _is_answer(error: BaseException) -> bool:
    """Whether this is how a framework says an answer below 500: by `status_code`, or `code` in Quart."""
    status = getattr(error, "status_code", getattr(error, "code", None))
    return isinstance(status, int) and 100 <= status < 500


def _watched(function: F, watch: Watch, deadline: float | None = None) -> F:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise OtelHealthError(
            f"{function.__name__} is a generator: its work is done while somebody iterates",
            "watch the function that iterates",
        )
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def awaited(*arguments: Any, **named: Any) -> Any:
            with watch():
                async with asyncio.timeout(deadline):
                    return await function(*arguments, **named)

        return cast("F", awaited)

    @functools.wraps(function)
    def called(*arguments: Any, **named: Any) -> Any:
        with watch():
            return function(*arguments, **named)

    return cast("F", called)
