"""Functions watched by decorators: what they leave, and that they stay what they are."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from opentelemetry.trace import StatusCode

from otelhealth import monitor_endpoint, monitor_task, trace_call
from otelhealth.errors import OtelHealthError
from tests.inside.lives import recording_of_all
from tests.inside.recording import Recording, ask

TASKS, ENDPOINTS = "otelhealth.task.duration", "otelhealth.endpoint.duration"


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Recording:
    return recording_of_all(monkeypatch)


def ended(recording: Recording) -> list[tuple[str, str | None, StatusCode]]:
    """(name, error.type, status) of each span."""
    return [
        (
            span.name,
            str(found) if (found := (span.attributes or {}).get("error.type")) else None,
            span.status.status_code,
        )
        for span in recording.spans()
    ]


def test_a_block_is_a_span(recording: Recording) -> None:
    with trace_call("load", shelf=3) as span:
        span.set_attribute("items", 7)
    [found] = recording.spans()
    assert (found.name, dict(found.attributes or {})) == ("load", {"shelf": 3, "items": 7})


def test_a_function_is_a_span_at_each_call(recording: Recording) -> None:
    @trace_call("add")
    def add(left: int, right: int = 1) -> int:
        return left + right

    assert (add(1), add(1, right=2)) == (2, 3)
    assert [name for name, _, _ in ended(recording)] == ["add", "add"]
    assert (add.__name__, list(inspect.signature(add).parameters)) == ("add", ["left", "right"])


async def test_calls_nest_and_never_mix(recording: Recording) -> None:
    outer = trace_call("outer")

    @trace_call("inner")
    async def inner(number: int) -> int:
        await asyncio.sleep(0.001 * (number % 3))
        return number

    @outer
    async def one(number: int) -> int:
        return await inner(number)

    assert await asyncio.gather(*(one(number) for number in range(20))) == list(range(20))
    parents = {span.context.span_id: span for span in recording.spans() if span.name == "outer"}
    inners = [span for span in recording.spans() if span.name == "inner"]
    assert {span.parent.span_id for span in inners if span.parent} == set(parents)


def test_the_same_block_may_be_entered_in_itself(recording: Recording) -> None:
    block = trace_call("again")
    with block, block:
        pass
    first, second = recording.spans()
    assert first.parent is not None
    assert first.parent.span_id == second.context.span_id


def test_what_is_raised_ends_it_as_an_error(recording: Recording) -> None:
    with pytest.raises(LookupError), trace_call("load"):
        raise LookupError
    assert ended(recording) == [("load", "LookupError", StatusCode.ERROR)]
    assert recording.spans()[0].events == ()


async def test_a_task_leaves_its_span_and_its_duration(recording: Recording) -> None:
    @monitor_task
    async def export() -> str:
        return "done"

    @monitor_task("nightly")
    def sweep(fails: bool) -> None:
        if fails:
            raise asyncio.QueueFull

    assert await export() == "done"
    sweep(False)
    with pytest.raises(asyncio.QueueFull):
        sweep(True)
    assert ended(recording) == [
        ("task export", None, StatusCode.UNSET),
        ("task nightly", None, StatusCode.UNSET),
        ("task nightly", "asyncio.queues.QueueFull", StatusCode.ERROR),
    ]
    name, result = "otelhealth.task.name", "otelhealth.task.result"
    assert recording.points(TASKS) == {
        ((name, "export"), (result, "success")): 1,
        ((name, "nightly"), (result, "success")): 1,
        (("error.type", "asyncio.queues.QueueFull"), (name, "nightly"), (result, "fail")): 1,
    }


async def test_a_task_tells_its_start_and_its_end(recording: Recording) -> None:
    @monitor_task("nightly")
    async def sweep(fails: bool) -> None:
        if fails:
            raise LookupError("no broom")

    await sweep(False)
    with pytest.raises(LookupError):
        await sweep(True)
    begun, done, again, (name, failed) = recording.events()
    named = {"otelhealth.task.name": "nightly"}
    assert begun == again == ("otelhealth.task.start", named)
    assert done == ("otelhealth.task.success", named)
    assert name == "otelhealth.task.fail"
    assert "no broom" in failed.pop("exception.stacktrace")
    assert failed == {
        **named,
        "error.type": "LookupError",
        "exception.type": "LookupError",
        "exception.message": "no broom",
    }


async def test_a_task_that_is_cancelled_has_failed(recording: Recording) -> None:
    @monitor_task
    async def wait() -> None:
        await asyncio.Event().wait()

    going = asyncio.create_task(wait())
    await asyncio.sleep(0)
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going
    assert ended(recording) == [("task wait", "asyncio.exceptions.CancelledError", StatusCode.ERROR)]


async def test_an_endpoint_of_a_framework_keeps_its_parameters(recording: Recording) -> None:
    app = FastAPI(telemetry={"tracing": False, "metrics": False})

    @app.get("/items/{item}")
    @monitor_endpoint("item")
    async def item(item: int, sort: str = "up") -> dict[str, object]:
        if item == 0:
            raise HTTPException(404)
        return {"item": item, "sort": sort}

    assert (await ask(app, "/items/7?sort=down")).body == b'{"item":7,"sort":"down"}'
    assert (await ask(app, "/items/0")).status == 404
    assert ended(recording) == [("endpoint item", None, StatusCode.UNSET)] * 2
    assert recording.points(ENDPOINTS) == {(("otelhealth.endpoint.name", "item"),): 2}


async def test_an_endpoint_is_ended_at_its_deadline(recording: Recording) -> None:
    @monitor_endpoint(deadline=0.02)
    async def slow() -> None:
        await asyncio.sleep(10)

    with pytest.raises(TimeoutError):
        await slow()
    assert ended(recording) == [("endpoint slow", "timeout", StatusCode.ERROR)]
    assert list(recording.points(ENDPOINTS)) == [(("error.type", "timeout"), ("otelhealth.endpoint.name", "slow"))]


def test_a_sync_endpoint_past_its_deadline_is_told_but_answers(recording: Recording) -> None:
    @monitor_endpoint(deadline=0.0)
    def slow() -> str:
        return "late"

    assert slow() == "late"
    assert ended(recording) == [("endpoint slow", "timeout", StatusCode.ERROR)]


def test_an_endpoint_s_own_error_is_its_class(recording: Recording) -> None:
    @monitor_endpoint
    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken()
    assert ended(recording) == [("endpoint broken", "ZeroDivisionError", StatusCode.ERROR)]


@pytest.mark.parametrize("decorate", [monitor_task, monitor_endpoint, trace_call("x"), monitor_task("x")])
def test_a_generator_is_refused(decorate: Any) -> None:
    def numbers() -> Iterator[int]:
        yield 1

    async def later() -> AsyncIterator[int]:
        yield 1

    for each in (numbers, later):
        with pytest.raises(OtelHealthError, match="is a generator"):
            decorate(each)


def test_without_an_agent_they_just_run_and_load_no_sdk() -> None:
    program = """
import sys
from otelhealth import monitor_endpoint, monitor_task, trace_call

@monitor_task
def task(): return 1

@monitor_endpoint(deadline=5)
def endpoint(): return 2

with trace_call("x"):
    assert (task(), endpoint()) == (1, 2)
assert not [name for name in sys.modules if name.startswith("opentelemetry.sdk")]
"""
    subprocess.run([sys.executable, "-W", "error", "-c", program], check=True, timeout=60)
