"""docs/telemetry.md against what an agent that used everything really exported."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from otelhealth.checks.base import Check
from otelhealth.checks.processes import WatchedChild
from otelhealth.checks.registry import all_kinds
from otelhealth.model import CheckResult, Measurement, ServiceProcess, ServiceStatus, StateChange, Status
from otelhealth.telemetry import Telemetry, names, runtime, table
from tests.telemetry.conftest import Open
from tests.telemetry.receiver import Answer, Receiver, attributes, points
from tests.waiting import eventually

DOCUMENT = Path(__file__).parents[2] / "docs" / "telemetry.md"
Row = tuple[str, str, str, frozenset[str]]
EXPORTED = {metric.name for metric in (names.EXPORTED_SPANS, names.EXPORTED_POINTS, names.EXPORTED_LOGS)}
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def documented() -> set[Row]:
    """(name, instrument, unit, attribute keys) of each row under `## Metrics`."""
    section = DOCUMENT.read_text("utf-8").partition("## Metrics")[2].partition("\n## ")[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("| `")]
    return {
        (
            first.split("`")[1],
            second.split(",")[0].strip(),
            second.split("`")[1] if "`" in second else "",
            frozenset(third.split("`")[1::2]),
        )
        for first, second, third, _ in rows
    }


def exported(receiver: Receiver) -> set[Row]:
    found: dict[tuple[str, str, str], set[str]] = {}
    for _, metric in receiver.scoped_metrics():
        keys = found.setdefault((metric.name, instrument(metric), metric.unit), set())
        keys.update(*(attributes(point.attributes).keys() for point in points(metric)))
    return {(*row, frozenset(keys)) for row, keys in found.items()}


def instrument(metric: Metric) -> str:
    kind = metric.WhichOneof("data")
    if kind == "sum":
        return "counter" if metric.sum.is_monotonic else "updowncounter"
    return str(kind)


def every_check() -> Iterator[Check]:
    for kind, check in all_kinds().items():
        yield check.model_construct(kind=kind, name=f"a-{kind}", peer="billing")


def use_everything(telemetry: Telemetry) -> None:
    for check in every_check():
        measurements = tuple(
            Measurement(quantity.name, 1.0, quantity.unit, tuple((key, "x") for key in quantity.attributes))
            for quantity in check.quantities
        )
        telemetry.instruments.add(check)
        root = telemetry.spans.start_run(check, 0.1)
        for status in Status:
            result = CheckResult(status, "", None if status is Status.PASS else "timeout", measurements, attempts=2)
            telemetry.instruments.record(check, result, status)
        telemetry.spans.finish_run(root, result, Status.UNKNOWN)
        change = StateChange(check.name, Status.PASS, Status.FAIL, 1.0, 2.0, "", "timeout", TRACE, SPAN)
        telemetry.instruments.transition(change)
        telemetry.events.state_change(change, check, result)
        telemetry.events.exception(check, result, ValueError("x"))
    telemetry.instruments.service(ServiceStatus.HEALTHY, 100.0)
    telemetry.instruments.scheduler_lag("fast", 0.001)
    telemetry.instruments.skipped("still_running")
    telemetry.instruments.loop_lag(0.001)
    telemetry.instruments.set(runtime.TASKS, (), 3)
    telemetry.instruments.received("traces", "refused", "413")
    child = WatchedChild(ServiceProcess("running", "shop", os.getpid()))
    telemetry.watch(child, {"service.instance.id": "the service's"}).exited(1)
    telemetry.events.agent_start("started")
    telemetry.events.agent_stop("stopped")


def lost(telemetry: Telemetry) -> set[str]:
    """The counters of exported items that have counted a loss."""
    return {
        family.name
        for family in telemetry.families()
        if family.name in EXPORTED and any(names.ERROR_TYPE in dict(point.attributes) for point in family.points)
    }


def test_the_tables_of_the_document_are_those_that_the_declarations_make() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert text == table.written(text), "run: python -m otelhealth.telemetry.table docs/telemetry.md"


def test_what_is_exported_is_what_is_documented(opened: Open, receiver: Receiver) -> None:
    receiver.answer = Answer(400)
    telemetry = opened(metrics={"interval": "100ms"}, traces={"delay": "10ms"}, logs={"delay": "10ms"})
    use_everything(telemetry)
    eventually(lambda: lost(telemetry) == EXPORTED)
    receiver.answer = Answer()
    use_everything(telemetry)
    eventually(lambda: exported(receiver) >= documented() or None)
    assert telemetry.close()
    assert exported(receiver) == documented()


def test_spans_and_events_carry_the_documented_attributes(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    use_everything(telemetry)
    assert telemetry.close()
    [root] = names.SPANS
    assert {key for span in receiver.spans() for key in attributes(span.attributes)} == set(root.attributes)
    found: dict[str, set[str]] = {}
    for record in receiver.logs():
        found.setdefault(record.event_name, set()).update(attributes(record.attributes))
    assert found == {record.name: set(record.attributes) for record in names.EVENTS}
