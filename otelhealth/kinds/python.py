"""A user's own function as a check: found by its import path, or decorated with `@check` and handed to the agent."""

import asyncio
import importlib
import inspect
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple, TypeVar, overload

from pydantic import Field, PrivateAttr, ValidationError
from pydantic_core import ErrorDetails

from otelhealth.checks.base import Check, Context, Quantity
from otelhealth.errors import OtelHealthError, ProbeError, near, redacted
from otelhealth.model import CheckResult, Measurement, Status
from otelhealth.units import LocalPath

Function = Callable[..., Any]
F = TypeVar("F", bound=Function)

_SPEC = "__otelhealth_check__"
_STRUCTURE = {"status", "message", "measurements", "details", "error_type"}
_MEASUREMENT = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_MOST = 100  # measurements of one run
_RETURNS = "return None, True, False, a sentence, a number, a dict or a CheckResult"


class CheckSpec(NamedTuple):
    """What `@check` attaches to a function: the fields of its check."""

    fields: Mapping[str, Any]


@overload
def check(name: F, /) -> F: ...
@overload
def check(name: str | None = None, **fields: Any) -> Callable[[F], F]: ...
def check(name: str | Function | None = None, **fields: Any) -> Any:
    """Mark a function as a health check and return it unchanged: `@check` or `@check("stock", every="1m", tier=1)`.

    `fields` are those of any check, judged by `as_check`. Nothing runs until the function is given to `agent.add`;
    where a configuration names it by `call:`, the fields of the file hold instead.
    """
    if callable(name):
        return _attach(name, CheckSpec({}))
    spec = CheckSpec(MappingProxyType(fields if name is None else {"name": name, **fields}))
    return lambda function: _attach(function, spec)


def _attach(function: F, spec: CheckSpec) -> F:
    setattr(function, _SPEC, spec)
    return function


def as_check(function: Check | Function) -> Check:
    """The check of a function, decorated or not; its name is by default the function's, with `-` for `_`.

    Raises OtelHealthError where its fields are not those of a check. A check is its own.
    """
    if isinstance(function, Check):
        return function
    if not callable(function):
        raise OtelHealthError(f"{type(function).__name__} is no check", "give a function, or a Check")
    spec = getattr(function, _SPEC, CheckSpec({}))
    called = getattr(function, "__name__", type(function).__name__).strip("_<>").replace("_", "-")
    module = getattr(function, "__module__", None) or "function"
    fields = {"name": called, **spec.fields, "call": f"{module}:{called}"}
    try:
        made = PythonCheck.model_validate(fields)
    except ValidationError as error:
        wrong = "; ".join(map(_wrong, error.errors(include_url=False)))
        raise OtelHealthError(f"@check on {called}: {wrong}", "correct the decorator's fields") from error
    made._function = function  # noqa: SLF001 - the maker's own field
    return made


def _wrong(error: ErrorDetails) -> str:
    place = ".".join(str(part) for part in error["loc"])
    if error["type"] == "extra_forbidden":
        return f"{place}: unknown field, {near(place, Check.model_fields, '`otelhealth kinds python` lists them')}"
    return f"{place}: {error.get('ctx', {}).get('error') or error['msg']}"


class PythonCheck(Check):
    """A function that returns is judged by what it returns, one that raises has failed.

    None and True pass, False fails, a string passes and is the message, a number is the measurement `value`, a dict
    holds measurements, or some of `status`, `message`, `measurements`, `details`, `error_type`; a CheckResult is taken
    as it is.
    """

    summary: ClassVar[str] = "a Python function of your own, sync or async, by import path or `@check`"
    in_process: ClassVar[bool] = True
    open_measurements: ClassVar[bool] = True
    quantities: ClassVar[tuple[Quantity, ...]] = (
        Quantity("value", "", "gauge", "The number that the function returned.", "otelhealth.python.value"),
    )

    kind: Literal["python"] = "python"
    call: str = Field(
        pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.-]*$",
        examples=["shop.health:stock_is_consistent"],
        description="`module:function`; a sync one runs in a thread. A parameter `ctx` is given the run's context.",
    )
    import_from: LocalPath = Field(
        ".",
        validate_default=True,
        description="Directory searched for the module after the installed ones. Default: the config file's.",
    )

    _function: Function | None = PrivateAttr(default=None)

    async def probe(self, ctx: Context) -> CheckResult:
        task = asyncio.ensure_future(self._call(ctx, await self._find(ctx)))
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)  # it closes what it opened before this run is over
            raise
        error = task.exception()
        if error is None:
            return judged(task.result())
        if isinstance(error, (OtelHealthError, TimeoutError)) or not isinstance(error, Exception):
            raise error  # has a meaning of its own to the runner
        raise ProbeError(type(error).__name__, _said(error)) from error

    async def _find(self, ctx: Context) -> Function:
        """The function, imported once; an import may take long, so it happens in a thread."""
        found = self._function or ctx.memory.get(self.call)
        if found is None:
            found = ctx.memory[self.call] = await ctx.in_thread(self._load)
        return found

    def _load(self) -> Function:
        module, _, path = self.call.partition(":")
        if self.import_from not in sys.path:
            sys.path.append(self.import_from)  # not first: a file there must not stand in for a library of ours
        remedy = f"check `call` and `import_from` ({self.import_from})"
        try:
            found: Any = importlib.import_module(module)
            for part in path.split("."):
                found = getattr(found, part)
        except (ImportError, AttributeError) as error:
            raise OtelHealthError(f"{self.call} cannot be imported: {error}", remedy) from error
        if not callable(found):
            raise OtelHealthError(f"{self.call} is no function but {type(found).__name__}", remedy)
        return found  # type: ignore[no-any-return]  # callable() tells no more than that

    async def _call(self, ctx: Context, function: Function) -> object:
        arguments = {"ctx": ctx} if _wants_context(function) else {}
        try:
            if inspect.iscoroutinefunction(function):
                return await function(**arguments)
            returned = await ctx.in_thread(lambda: function(**arguments))
            return await returned if isinstance(returned, Awaitable) else returned
        except (SystemExit, KeyboardInterrupt) as error:  # would end the event loop, and the agent with it
            said = f"ended with exit code {error.code}" if isinstance(error, SystemExit) else "interrupted itself"
            raise ProbeError(type(error).__name__, f"the function {said}") from error


def _said(error: Exception) -> str:
    said = redacted(str(error)).strip().split("\n", 1)[0][:300]
    if not said:
        return type(error).__name__
    return said if isinstance(error, AssertionError) else f"{type(error).__name__}: {said}"


def judged(returned: object) -> CheckResult:
    """What it means that a function returns this; raises OtelHealthError where it means nothing."""
    match returned:
        case None | True:
            return CheckResult(Status.PASS)
        case False:
            return CheckResult(Status.FAIL, "the function returned False", "false")
        case CheckResult():
            return returned
        case str():
            return CheckResult(Status.PASS, redacted(returned))
        case int() | float():
            return CheckResult(Status.PASS, f"{returned:g}", None, (Measurement("value", float(returned), ""),))
        case Mapping():
            return _structured(returned) if returned and set(returned) <= _STRUCTURE else _measured(returned)
    raise OtelHealthError(f"the function returned {type(returned).__name__}", _RETURNS)


def _structured(returned: Mapping[str, Any]) -> CheckResult:
    try:
        status = Status(returned.get("status", Status.PASS))
    except ValueError as error:
        raise OtelHealthError(f"the function returned the status {returned['status']!r}", _statuses()) from error
    measured = _measured(returned.get("measurements") or {})
    kind = returned.get("error_type") or (None if status is Status.PASS else f"returned_{status.value}")
    return CheckResult(
        status, redacted(str(returned.get("message", ""))), kind, measured.measurements, returned.get("details") or {}
    )


def _statuses() -> str:
    return f"return one of {', '.join(Status)}"


def _measured(figures: Mapping[object, object]) -> CheckResult:
    measurements = []
    for name, value in list(figures.items())[:_MOST]:
        if not isinstance(name, str) or not _MEASUREMENT.fullmatch(name):
            raise OtelHealthError(f"{name!r} is no name of a measurement", "use letters, digits and . _ -")
        if not isinstance(value, (int, float)):
            raise OtelHealthError(f"the measurement {name} is {type(value).__name__}, no number", _RETURNS)
        measurements.append(Measurement(name, float(value), ""))
    return CheckResult(Status.PASS, "", None, tuple(measurements))


def _wants_context(function: Function) -> bool:
    try:
        return "ctx" in inspect.signature(function).parameters
    except (TypeError, ValueError):  # built in C, without a signature
        return False
