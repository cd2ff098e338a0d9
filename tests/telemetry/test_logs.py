"""What a receiver decodes of the agent's events."""

from __future__ import annotations

from typing import Any

import pytest
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from otelhealth.checks.levels import Level
from otelhealth.clock import ManualClock
from otelhealth.kinds.http import HttpCheck
from otelhealth.model import CheckResult, Measurement, StateChange, Status
from tests.telemetry.conftest import Open, Sample
from tests.telemetry.receiver import Receiver, attributes

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
CHECK = Sample(name="api", tier=1, peer="billing", levels={"level": Level(fail="> 90%")})


def change(status: Status, previous: Status = Status.PASS) -> StateChange:
    kind = None if status is Status.PASS else "timeout"
    return StateChange("api", previous, status, 1_700_000_000.0, 1_700_000_060.0, "no answer", kind, TRACE, SPAN)


def only(receiver: Receiver) -> LogRecord:
    [record] = receiver.logs()
    return record


@pytest.mark.parametrize(
    ("status", "severity", "text"),
    [(Status.PASS, 9, "INFO"), (Status.WARN, 13, "WARN"), (Status.UNKNOWN, 13, "WARN"), (Status.FAIL, 17, "ERROR")],
)
def test_a_change_of_state_is_an_event_in_the_runs_span(
    opened: Open, receiver: Receiver, status: Status, severity: int, text: str
) -> None:
    telemetry = opened(ManualClock())
    telemetry.events.state_change(change(status), CHECK, CheckResult(status))
    assert telemetry.close()
    record = only(receiver)
    assert record.event_name == "otelhealth.check.state_change"
    assert (record.severity_number, record.severity_text) == (severity, text)
    assert record.body.string_value == f"check api went from pass to {status}: no answer"
    assert (record.trace_id.hex(), record.span_id.hex(), record.flags) == (TRACE, SPAN, 1)
    assert record.time_unix_nano == 1_700_000_060 * 10**9
    assert record.observed_time_unix_nano == 1_700_000_000 * 10**9


def test_a_failure_carries_its_evidence(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    seen = CheckResult(
        Status.FAIL, "no answer", "timeout", (Measurement("level", 0.95, "1"),), {"address": "10.0.0.1"}, duration=10.0
    )
    telemetry.events.state_change(change(Status.FAIL), CHECK, seen, {"system.cpu.utilization": 0.5})
    assert telemetry.close()
    assert attributes(only(receiver).attributes) == {
        "otelhealth.check.name": "api",
        "otelhealth.check.kind": "sample",
        "otelhealth.check.tier": 1,
        "otelhealth.check.state": "fail",
        "otelhealth.check.previous_state": "pass",
        "otelhealth.check.since": 1_700_000_000.0,
        "otelhealth.check.duration": 10.0,
        "otelhealth.check.asserted": {"level": {"fail": "> 90%"}, "timeout": 10.0, "max_response_time": 5.0},
        "otelhealth.check.seen": {"message": "no answer", "address": "10.0.0.1", "level": 0.95},
        "error.type": "timeout",
        "service.peer.name": "billing",
        "system.cpu.utilization": 0.5,
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, {"status": "< 400"}), ({"expect": {"status": 200, "text": "ok"}}, {"status": 200, "text": "ok"})],
)
def test_what_is_expected_stands_in_the_evidence_by_default_too(
    opened: Open, receiver: Receiver, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    telemetry = opened()
    check = HttpCheck.model_validate({"name": "api", "url": "http://127.0.0.1/", **fields})
    telemetry.events.state_change(change(Status.FAIL), check, CheckResult(Status.FAIL, "answered 503", "503"))
    assert telemetry.close()
    assert attributes(only(receiver).attributes)["otelhealth.check.asserted"]["expect"] == expected


def test_a_recovery_needs_no_evidence(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    telemetry.events.state_change(change(Status.PASS, Status.FAIL), CHECK, CheckResult(Status.PASS), {"x": 1})
    assert telemetry.close()
    assert not {"otelhealth.check.asserted", "error.type", "x"} & attributes(only(receiver).attributes).keys()


def test_a_check_that_went_stale_has_no_run_to_show(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    stale = StateChange("api", Status.PASS, Status.UNKNOWN, 1.0, 2.0, "no run for 90s")
    telemetry.events.state_change(stale, CHECK, None)
    assert telemetry.close()
    record = only(receiver)
    assert record.trace_id == b""
    assert "otelhealth.check.seen" not in attributes(record.attributes)


def test_an_exception_carries_its_stack(opened: Open, receiver: Receiver) -> None:
    telemetry = opened()
    with pytest.raises(LookupError) as raised:
        raise LookupError("no such item")
    telemetry.events.exception(CHECK, CheckResult(Status.UNKNOWN, trace_id=TRACE, span_id=SPAN), raised.value)
    assert telemetry.close()
    record = only(receiver)
    told = attributes(record.attributes)
    assert (record.event_name, record.severity_text) == ("otelhealth.check.exception", "ERROR")
    assert record.body.string_value == "check api raised LookupError"
    assert (told["exception.type"], told["exception.message"]) == ("LookupError", "no such item")
    assert "raise LookupError" in told["exception.stacktrace"]


def test_start_and_stop_are_events_and_the_stop_still_leaves(opened: Open, receiver: Receiver) -> None:
    telemetry = opened(logs={"delay": "60s"})
    telemetry.events.agent_start("otelhealth watches 7 checks")
    telemetry.events.agent_stop("otelhealth ends")
    assert telemetry.close()
    assert [record.event_name for record in receiver.logs()] == ["otelhealth.agent.start", "otelhealth.agent.stop"]
