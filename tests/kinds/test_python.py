from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import otelhealth
from otelhealth.checks.base import Context, failed
from otelhealth.errors import OtelHealthError, ProbeError
from otelhealth.kinds.python import PythonCheck, as_check, check
from otelhealth.model import CheckResult, Status
from tests.kinds.runs import Runs, figures


async def outcome(function: Callable[..., Any]) -> CheckResult:
    return await Runs()(as_check(function))


@pytest.mark.parametrize(
    ("returned", "status", "message"),
    [
        (None, Status.PASS, ""),
        (True, Status.PASS, ""),
        (False, Status.FAIL, "the function returned False"),
        ("all 3 replicas agree", Status.PASS, "all 3 replicas agree"),
        (42, Status.PASS, "42"),
        ({"status": "warn", "message": "nearly empty"}, Status.WARN, "nearly empty"),
        ({"status": "fail"}, Status.FAIL, ""),
        (failed("empty", "no stock"), Status.FAIL, "no stock"),
    ],
)
async def test_what_a_function_returns_is_its_verdict(returned: object, status: Status, message: str) -> None:
    result = await outcome(lambda: returned)
    assert (result.status, result.message) == (status, message)
    assert (result.error_type is None) == (status is Status.PASS)


async def test_a_number_is_the_measurement_value_and_a_dict_holds_several() -> None:
    assert figures(await outcome(lambda: 3.5)) == {"value": 3.5}
    assert figures(await outcome(lambda: {"queue.length": 7, "ready": True})) == {"queue.length": 7, "ready": 1}
    assert figures(await outcome(dict)) == {}


async def test_a_full_answer_has_a_status_a_message_measurements_and_details() -> None:
    answer = {
        "status": "fail",
        "message": "stock is off",
        "measurements": {"off_by": 3},
        "details": {"shelf": "A"},
        "error_type": "stock",
    }
    result = await outcome(lambda: answer)
    assert (result.status, result.error_type, result.details) == (Status.FAIL, "stock", {"shelf": "A"})
    assert figures(result) == {"off_by": 3}


@pytest.mark.parametrize("returned", [[1], {"a b": 1}, {"a": "text"}, {1: 2}, {"status": "great"}, object()])
async def test_an_answer_that_means_nothing_is_unknown_since_the_check_itself_is_wrong(returned: object) -> None:
    result = await outcome(lambda: returned)
    assert result.status is Status.UNKNOWN
    assert any(remedy in result.message for remedy in ("; return ", "; use letters, digits and . _ -"))


async def test_a_level_judges_a_measurement_of_the_users_own() -> None:
    @check(levels={"free": {"warn": "< 10"}})
    def seats() -> dict[str, int]:
        return {"free": 4}

    result = await outcome(seats)
    assert result.status is Status.WARN
    assert result.message == "free is 4, warn at < 10"


class OutOfStockError(Exception):
    pass


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (OutOfStockError("shelf A"), "OutOfStockError", "OutOfStockError: shelf A"),
        (AssertionError("3 orders without an invoice"), "AssertionError", "3 orders without an invoice"),
        (AssertionError(), "AssertionError", "AssertionError"),
        (ProbeError("stale", "too old"), "stale", "too old"),
        (
            ConnectionError("redis://me:secret@db:1 refused\nmore"),
            "ConnectionError",
            "ConnectionError: redis://***@db:1 refused",
        ),
        (TimeoutError("too slow"), "timeout", "too slow"),
        (SystemExit(3), "SystemExit", "the function ended with exit code 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt", "the function interrupted itself"),
    ],
)
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_function_that_raises_has_failed(
    error: BaseException, kind: str, message: str, asynchronous: bool
) -> None:
    def sync() -> None:
        raise error

    async def awaited() -> None:
        raise error

    result = await outcome(awaited if asynchronous else sync)
    assert (result.status, result.error_type, result.message) == (Status.FAIL, kind, message)


async def test_an_async_function_runs_in_the_loop_and_a_sync_one_in_a_thread() -> None:
    async def here() -> str:
        return threading.current_thread().name

    result, other = await outcome(here), await outcome(lambda: threading.current_thread().name)
    assert result.message == threading.current_thread().name
    assert other.message != threading.current_thread().name


async def test_a_function_may_ask_for_the_runs_context() -> None:
    def curious(ctx: Context) -> str:
        ctx.log("looked")
        return f"{ctx.name} has {ctx.remaining():.0f} s"

    result = await outcome(curious)
    assert (result.message, result.log) == ("curious has 10 s", ("looked",))


async def test_an_async_function_is_cancelled_at_the_deadline_and_may_close_what_it_opened() -> None:
    closed = []

    @check(timeout="100ms")
    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            closed.append(True)

    result = await outcome(hangs)
    assert (result.status, result.error_type, closed) == (Status.FAIL, "timeout", [True])


async def test_an_object_with_an_async_call_and_a_partial_are_functions_too() -> None:
    class Ping:
        async def __call__(self) -> str:
            return "pong"

    assert (await outcome(Ping())).message == "pong"
    assert (await outcome("{}".format)).status is Status.FAIL  # it wants an argument: IndexError


def test_the_decorator_returns_the_function_itself_and_its_fields_make_the_check() -> None:
    def stock() -> None:
        """Is it there?"""

    decorated = otelhealth.check("stock-check", every="1m", tier=1, tags=("shop",))(stock)
    assert decorated is stock
    made = as_check(stock)
    assert (made.name, made.every, made.tier, made.tags, made.kind) == ("stock-check", 60.0, 1, ("shop",), "python")


def test_a_bare_decorator_or_none_names_the_check_after_the_function() -> None:
    @check
    def stock_is_there() -> None: ...

    def plain() -> None: ...

    assert as_check(stock_is_there).name == "stock-is-there"
    assert as_check(plain).name == "plain"
    assert as_check(lambda: None).name == "lambda"


def test_a_wrong_field_of_the_decorator_is_told_with_the_functions_name() -> None:
    @check(every=30, teir=1)
    def stock() -> None: ...

    with pytest.raises(OtelHealthError) as caught:
        as_check(stock)
    assert str(caught.value) == (
        "@check on stock: every: a duration needs a unit; write 30s or 30m; teir: unknown field, did you mean tier?; "
        "correct the decorator's fields"
    )


def test_what_is_no_function_is_no_check() -> None:
    with pytest.raises(OtelHealthError, match="str is no check; give a function, or a Check"):
        as_check("shop:stock")  # type: ignore[arg-type]  # what a user may try


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[PythonCheck]:
    """A module beside the configuration, as the loader gives it."""
    (tmp_path / "hc_shop.py").write_text(
        "calls = []\nnumber = 3\n"
        "class Stock:\n    @staticmethod\n    def ok():\n        calls.append(1)\n        return len(calls)\n"
    )
    fields = {"name": "shop", "call": "hc_shop:Stock.ok"}
    yield PythonCheck.model_validate(fields, context={"base": str(tmp_path)})
    sys.modules.pop("hc_shop", None)
    if str(tmp_path) in sys.path:
        sys.path.remove(str(tmp_path))


async def test_a_function_is_imported_from_beside_the_configuration(shop: PythonCheck, tmp_path: Path) -> None:
    assert shop.import_from == str(tmp_path)
    run = Runs()
    assert [(await run(shop)).message for _ in range(3)] == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("hc_missing:ok", "hc_missing:ok cannot be imported: No module named 'hc_missing'"),
        ("hc_shop:missing", "hc_shop:missing cannot be imported: module 'hc_shop' has no attribute 'missing'"),
        ("hc_shop:number", "hc_shop:number is no function but int"),
    ],
)
async def test_what_cannot_be_imported_is_unknown(call: str, said: str, shop: PythonCheck) -> None:
    result = await Runs()(shop.model_copy(update={"call": call}))
    assert result.status is Status.UNKNOWN
    assert said in result.message


@pytest.mark.parametrize("call", ["shop", "shop:", ":ok", "shop.ok", "shop:ok()"])
def test_a_call_is_a_module_and_a_function(call: str) -> None:
    with pytest.raises(ValidationError):
        PythonCheck.model_validate({"name": "x", "call": call})


@pytest.mark.parametrize("answer", ["see redis://me:s3cret@db:1", {"message": "see redis://me:s3cret@db:1"}])
async def test_the_user_info_of_a_url_in_an_answer_is_not_told(answer: object) -> None:
    assert (await outcome(lambda: answer)).message == "see redis://***@db:1"
