"""Records over OTLP: what they carry, how many, and that exporting never speaks of itself through an export."""

from __future__ import annotations

import logging
import logging.handlers
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otelhealth import Agent
from otelhealth.logs.otlp import OtlpHandler, OwnHandler
from otelhealth.redaction import Redactor
from otelhealth.telemetry import Telemetry
from otelhealth.telemetry.wire import Scoped
from tests.logs.records import record
from tests.stack.loopback import unused_port
from tests.telemetry.conftest import Open
from tests.telemetry.receiver import Answer, Receiver, attributes
from tests.telemetry.test_export import exported
from tests.waiting import until

EXPORTED = "otel.sdk.exporter.log.exported"
OF_EXPORTING = ("otelhealth.spool", "otelhealth.telemetry.export")


def items_of(telemetry: Telemetry) -> Any:
    assert telemetry.log_records is not None
    return telemetry.log_records


def scoped(receiver: Receiver) -> list[tuple[str, LogRecord]]:
    """(scope, record) of all that arrived."""
    return [
        (scope.scope.name, each)
        for request in receiver.requests
        if request.path == "/v1/logs"
        for resource in ExportLogsServiceRequest.FromString(request.body).resource_logs
        for scope in resource.scope_logs
        for each in scope.log_records
    ]


def test_a_record_leaves_with_severity_scope_attributes_and_its_span(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    handler = OtlpHandler(items_of(telemetry), Redactor(["hunter2-and-more"]))
    with telemetry.tracer.start_as_current_span("run") as span:
        handler.handle(record("paid by %s", "hunter2-and-more", level=logging.ERROR, order="o-1"))
    telemetry.events.agent_start("otelhealth starts")
    assert telemetry.close()
    [(scope, told)] = [each for each in scoped(receiver) if each[0] != "otelhealth"]
    assert scope == "shop.cart"
    assert (told.severity_number, told.severity_text, told.body.string_value) == (17, "ERROR", "paid by ***")
    context = span.get_span_context()
    assert int.from_bytes(told.trace_id) == context.trace_id
    assert (int.from_bytes(told.span_id), told.flags) == (context.span_id, 1)
    assert told.time_unix_nano > 1_700_000_000 * 10**9
    assert attributes(told.attributes) == {
        "code.file.path": "/shop/cart.py",
        "code.function.name": "pay",
        "code.line.number": 7,
        "order": "o-1",
    }
    assert [event.event_name for scope, event in scoped(receiver) if scope == "otelhealth"] == [
        "otelhealth.agent.start"
    ]


def test_levels_below_the_handlers_own_do_not_leave(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    logger = logging.getLogger("shop.levels")
    logger.propagate = False
    handler = OtlpHandler(items_of(telemetry), level=logging.WARNING)
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING, logging.CRITICAL):
        logger.log(level, "%s", level)
    logger.removeHandler(handler)
    assert telemetry.close()
    assert [told.severity_text for _, told in scoped(receiver)] == ["WARN", "FATAL"]


def test_a_record_that_cannot_be_told_harms_nobody(
    opened: Open, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    telemetry = opened()
    handler = OtlpHandler(items_of(telemetry))
    handler.handle(record("%d things", "many"))
    handler.handle(record("good"))
    assert telemetry.close()
    assert [told.body.string_value for _, told in scoped(receiver)] == ["good"]


def test_a_storm_is_bounded_counted_and_told(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    handler = OtlpHandler(items_of(telemetry), rate=20, burst=100)
    begun = time.monotonic()
    for number in range(10_000):
        handler.handle(record("storm %d", number))
    took = time.monotonic() - begun
    while not handler.has_room():
        time.sleep(0.01)
    handler.handle(record("calm"))
    handler.close()
    assert telemetry.close()
    told = [each.body.string_value for scope, each in scoped(receiver) if scope == "shop.cart"]
    assert told[-1] == "calm"
    kept = len(told) - 1
    assert 100 <= kept <= 100 + 20 * took + 1
    said = sent(receiver, "otelhealth.logs")
    assert sum(int(text.partition(" log records were left out")[0]) for text in said) == 10_000 - kept
    assert len(said) <= 2
    assert exported(telemetry, EXPORTED) == {"rate_limited": 10_000.0 - kept, None: float(len(told) + len(said))}


@pytest.fixture
def loud(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "otelhealth")
    return caplog


def settings(folder: Path, endpoint: str, **log: Any) -> dict[str, Any]:
    return {
        "service": {"name": "shop"},
        "server": {"listen": "127.0.0.1:0"},
        "store": {"path": str(folder / "store.db")},
        "telemetry": {
            "otlp": {"endpoint": endpoint},
            "traces": {"delay": "20ms"},
            "logs": {"delay": "20ms"},
            "metrics": {"interval": "200ms"},
        },
        "log": {"otlp": "debug"} | log,
        "checks": {"load": {"kind": "load", "every": "100ms"}},
    }


async def test_a_dead_collector_makes_no_loop(
    tmp_path: Path, loud: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = counted(monkeypatch)
    async with Agent(settings(tmp_path, f"http://127.0.0.1:{unused_port()}")) as agent:
        logging.getLogger("otelhealth.store").warning("a record that leaves")
        await until(lambda: any("export of logs" in message for message in loud.messages))
        await until(lambda: retried(agent) >= 3)
        assert [scope for scope in put if scope.startswith(OF_EXPORTING)] == []
        assert put.count("otelhealth.store") == 1
    assert len([message for message in loud.messages if "export of logs" in message]) == 1


async def test_a_collector_that_refuses_makes_no_loop(
    tmp_path: Path, receiver: Receiver, loud: pytest.LogCaptureFixture
) -> None:
    receiver.answer = Answer(400)
    async with Agent(settings(tmp_path, receiver.endpoint)) as agent:
        logger = logging.getLogger("otelhealth.store")
        for number in range(5):
            logger.warning("record %d", number)
            await until(partial(arrived, receiver, f"record {number}"))
        await until(lambda: len([r for r in receiver.requests if r.path == "/v1/traces"]) >= 5)
        assert agent.report()["checks"]["load"]["status"] == "pass"
    assert set(sent(receiver, "otelhealth.store")) == {f"record {number}" for number in range(5)}
    assert [scope for scope, _ in scoped(receiver) if scope.startswith(OF_EXPORTING)] == []
    refusals = [message for message in loud.messages if "export of logs" in message]
    assert len(refusals) == 1


async def test_without_that_exception_exporting_would_speak_of_itself(
    tmp_path: Path, receiver: Receiver, loud: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OwnHandler, "emit", logging.handlers.QueueHandler.emit)
    receiver.answers = [Answer(400)] * 3
    async with Agent(settings(tmp_path, receiver.endpoint)):
        await until(lambda: sent(receiver, "otelhealth.spool"))
    assert any("export of" in message for message in loud.messages)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The scopes of all records that are put, whether or not they ever arrive."""
    put: list[str] = []
    enqueue: Callable[[OtlpHandler, Scoped], None] = OtlpHandler.enqueue

    def count(handler: OtlpHandler, item: Scoped) -> None:
        put.append(item.scope)
        enqueue(handler, item)

    monkeypatch.setattr(OtlpHandler, "enqueue", count)
    return put


def arrived(receiver: Receiver, text: str) -> bool:
    return text in sent(receiver, "otelhealth.store")


def sent(receiver: Receiver, scope: str) -> list[str]:
    return [told.body.string_value for name, told in scoped(receiver) if name == scope]


def retried(agent: Agent) -> float:
    found = [point.value for family in agent.telemetry.families() if family.name == "otelhealth.spool.requests"
             for point in family.points if dict(point.attributes)["otelhealth.outcome"] == "retried"]  # fmt: skip
    return max(value for value in found if isinstance(value, float))


async def test_changes_of_state_leave_as_events_and_not_as_records_too(
    tmp_path: Path, receiver: Receiver, loud: Any
) -> None:
    async with Agent(settings(tmp_path, receiver.endpoint)):
        await until(lambda: any(told.event_name == "otelhealth.check.state_change" for _, told in scoped(receiver)))
        await until(lambda: any("load: unknown -> pass" in message for message in loud.messages))
    assert [scope for scope, _ in scoped(receiver) if scope == "otelhealth.state"] == []


async def test_an_agent_whose_log_stays_at_home_attaches_nothing(tmp_path: Path, receiver: Receiver) -> None:
    before = list(logging.getLogger("otelhealth").handlers)
    async with Agent(settings(tmp_path, receiver.endpoint, otlp="off")):
        assert logging.getLogger("otelhealth").handlers == before
    async with Agent(settings(tmp_path, receiver.endpoint)):
        assert len(logging.getLogger("otelhealth").handlers) == len(before) + 1
    assert logging.getLogger("otelhealth").handlers == before


async def test_a_programs_own_records_leave_by_a_handler_that_it_attaches(
    tmp_path: Path, receiver: Receiver, loud: pytest.LogCaptureFixture
) -> None:
    async with Agent(settings(tmp_path, receiver.endpoint)) as agent:
        handler = agent.log_handler(logging.INFO)
        logging.root.addHandler(handler)
        logging.getLogger("shop.cart").error("the cart is empty")
        logging.getLogger("otelhealth.store").error("the store is full")
        logging.getLogger("opentelemetry.sdk").error("an export failed")
        logging.root.removeHandler(handler)
        await until(lambda: sent(receiver, "shop.cart") and sent(receiver, "otelhealth.store"))
    assert len(sent(receiver, "shop.cart")) == len(sent(receiver, "otelhealth.store")) == 1
    assert sent(receiver, "opentelemetry.sdk") == []
    assert {"shop.cart", "opentelemetry.sdk"} <= {told.name for told in loud.records}
    silent = settings(tmp_path, receiver.endpoint)
    silent["telemetry"]["logs"] = {"enabled": False}
    assert isinstance(Agent(silent).log_handler(), logging.NullHandler)


def test_in_a_program_without_logging_warnings_still_show(
    opened: Open, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    handler = OwnHandler(items_of(opened()), Redactor(), "error")
    logging.getLogger("otelhealth.store").warning("the disk is full")
    logging.getLogger("otelhealth.store").info("not told")
    handler.close()
    assert capsys.readouterr().err == "the disk is full\n"
