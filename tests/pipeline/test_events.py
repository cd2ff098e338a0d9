"""What the Collector's file holds: a change of state with its evidence, by the trace that showed it."""

from __future__ import annotations

from tests.pipeline.watching import Watched
from tests.stack.loopback import until
from tests.stack.queries import LogRecord


def change_to(watched: Watched, check: str, state: str) -> LogRecord:
    def found() -> list[LogRecord]:
        return [
            record
            for record in watched.events()
            if record.event == "otelhealth.check.state_change"
            and record.attributes["otelhealth.check.name"] == check
            and record.attributes["otelhealth.check.state"] == state
        ]

    return until(found, f"change of {check} to {state}")[0]


def test_a_check_that_fails_leaves_one_event_with_its_evidence_and_its_trace(watched: Watched) -> None:
    event = change_to(watched, "checkout", "fail")
    told = event.attributes
    assert event.severity == 17
    assert event.body == "check checkout went from unknown to fail: answered 503, expected < 400"
    assert (told["otelhealth.check.previous_state"], told["otelhealth.check.tier"]) == ("unknown", 1)
    assert told["error.type"] == "503"
    assert watched.since < told["otelhealth.check.since"]
    assert told["otelhealth.check.seen"]["message"] == "answered 503, expected < 400"
    assert told["otelhealth.check.asserted"]["timeout"] == 3
    assert 0 <= told["system.memory.utilization"] <= 1
    spans = until(lambda: watched.line.jaeger.api.trace(event.trace_id), "trace of the event")
    assert spans[0].name == "check checkout"
    assert event.resource["service.instance.id"] == spans[0].resource["service.instance.id"]


def test_a_check_that_passes_leaves_one_without_evidence(watched: Watched) -> None:
    event = change_to(watched, "items", "pass")
    assert event.severity == 9
    assert not {"error.type", "otelhealth.check.seen", "otelhealth.check.asserted"} & event.attributes.keys()


def test_the_start_of_the_agent_is_an_event(watched: Watched) -> None:
    started = until(lambda: [r for r in watched.events() if r.event == "otelhealth.agent.start"], "start")
    assert started[0].body == "otelhealth watches shop"


def test_an_event_is_written_once(watched: Watched) -> None:
    change_to(watched, "nobody", "fail")
    changes = [
        (record.attributes["otelhealth.check.name"], record.attributes["otelhealth.check.state"])
        for record in watched.events()
        if record.event == "otelhealth.check.state_change"
    ]
    assert len(changes) == len(set(changes))
