"""From `put` to the receiver: order, outages, refusals, and what is counted and said of them."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from email.utils import formatdate
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from otelhealth.spool import Letter, Otlp, Spool, SpoolSettings
from otelhealth.spool.place import Place
from otelhealth.spool.settings import SIGNALS, SignalName
from otelhealth.telemetry.content import OtlpContent
from tests.spool.conftest import Open
from tests.telemetry.receiver import Answer, Receiver
from tests.waiting import eventually


def put(spool: Spool, *bodies: bytes, signal: SignalName = "traces") -> None:
    for body in bodies:
        spool.put(Letter(signal, body, items=1))


def bodies(receiver: Receiver, path: str = "/v1/traces") -> list[bytes]:
    return [request.body for request in list(receiver.requests) if request.path == path]


def spans(*names: str) -> bytes:
    """A request of these spans, in one scope."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for name in names:
        scope.spans.add(name=name)
    return bytes(request.SerializeToString())


def test_requests_arrive_in_order_as_they_are(opened: Open, receiver: Receiver) -> None:
    spool = opened()
    assert spool.keep_received([Letter("logs", b'{"resourceLogs": []}', "application/json", received=True)]) == [True]
    spool.put(Letter("traces", b"packed", items=1).packed())
    put(spool, *(f"{number}".encode() for number in range(50)))
    eventually(lambda: len(receiver.requests) == 52)
    assert bodies(receiver) == [b"packed", *(f"{number}".encode() for number in range(50))]
    [log] = [request for request in receiver.requests if request.path == "/v1/logs"]
    assert (log.body, log.headers["content-type"]) == (b'{"resourceLogs": []}', "application/json")
    assert "content-encoding" not in log.headers


def test_what_could_not_be_delivered_goes_first_after_a_restart(opened: Open, receiver: Receiver) -> None:
    receiver.answer = Answer(503)
    first = opened()
    put(first, b"1", b"2", b"3")
    receiver.wait_for(1)
    assert first.close(20)
    receiver.answer = Answer()
    receiver.requests.clear()
    second = opened()
    second.start()
    put(second, b"4")
    eventually(lambda: bodies(receiver) == [b"1", b"2", b"3", b"4"])


def test_a_signal_that_hangs_or_is_refused_holds_up_no_other(opened: Open, receiver: Receiver) -> None:
    receiver.answers_of = {"/v1/traces": Answer(hang=True), "/v1/logs": Answer(401)}
    spool = opened()
    put(spool, b"t")
    put(spool, b"l", signal="logs")
    put(spool, b"m1", b"m2", signal="metrics")
    eventually(lambda: bodies(receiver, "/v1/metrics") == [b"m1", b"m2"])
    eventually(lambda: spool.record()["signals"]["logs"]["status"] == "held")
    eventually(lambda: spool.record()["signals"]["metrics"]["waiting"] == 0)
    assert spool.record()["signals"]["metrics"]["status"] == "delivering"


@pytest.mark.parametrize("status", [302, 401, 403, 404, 408, 429, 500, 503])
def test_a_held_queue_is_said_once_with_status_and_remedy_and_delivered_later(
    opened: Open, receiver: Receiver, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    receiver.answers = [Answer(status)]
    with caplog.at_level(logging.WARNING, "otelhealth"):
        spool = opened()
        put(spool, b"1", b"2")
        eventually(lambda: spool.record()["signals"]["traces"]["sent"] == 2)
    assert bodies(receiver) == [b"1", b"1", b"2"]
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith(f"export of traces: the receiver answered {status}, what comes is kept; ")
    assert caplog.messages[1].startswith("export of traces works again after ")
    record = spool.record()["signals"]["traces"]
    assert (record["retried"], sum(record["dropped"].values())) == (1, 0)


def test_a_receiver_that_changes_its_mind_with_each_request_does_not_fill_the_log(
    opened: Open, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [Answer(429), Answer(), Answer(429), Answer()]
    with caplog.at_level(logging.WARNING, "otelhealth"):
        spool = opened()
        put(spool, b"1", b"2")
        eventually(lambda: spool.record()["signals"]["traces"]["sent"] == 2)
    assert spool.record()["signals"]["traces"]["retried"] == 2
    assert [message.split(";")[0] for message in caplog.messages][:1] == [
        "export of traces: the receiver answered 429, what comes is kept"
    ]
    assert len(caplog.messages) == 2


def test_after_the_end_nothing_is_taken_any_more(opened: Open) -> None:
    spool = opened()
    put(spool, b"1")
    eventually(lambda: spool.record()["signals"]["traces"]["sent"] == 1)
    assert spool.close(20)
    put(spool, b"2")
    assert spool.record()["signals"]["traces"]["dropped"]["size"] == 1
    assert spool.keep_received([Letter("traces", b"3", received=True)]) == [False]


def test_a_refused_request_is_dropped_counted_said_once_and_holds_nothing_up(
    opened: Open, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answers = [Answer(400), Answer(400)]
    with caplog.at_level(logging.WARNING, "otelhealth"):
        spool = opened()
        for _ in range(2):
            spool.put(Letter("traces", spans("a", "b", "c")))
        put(spool, b"good")
        eventually(lambda: bodies(receiver)[2:] == [b"good"])
        eventually(lambda: spool.record()["signals"]["traces"]["sent"] == 1)
    record = spool.record()["signals"]["traces"]
    assert (record["rejected"], record["dropped"]["poison"]) == (2, 6)
    [message] = caplog.messages
    assert message.startswith("export of traces: the receiver answered 400, items dropped: 3; ")


def test_a_partial_success_is_counted_and_said(
    opened: Open, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=2, error_message="too old")
    receiver.answers = [Answer(body=ExportTraceServiceResponse(partial_success=partial).SerializeToString())]
    with caplog.at_level(logging.WARNING, "otelhealth"):
        spool = opened()
        spool.put(Letter("traces", spans("a", "b", "c")))
        eventually(lambda: spool.record()["signals"]["traces"]["dropped"]["partial"] == 2)
    [message] = caplog.messages
    assert message.startswith("export of traces: the receiver took all but 2 items: too old; see why in its log")


class Narrow(Receiver):
    """Takes no request above a number of bytes."""

    most = 60

    def choose(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        return Answer(413) if len(body) > self.most else super().choose(path, body, headers)


def test_a_request_that_is_too_large_is_split_until_it_fits_and_stays_in_order(opened: Open) -> None:
    narrow = Narrow()
    spool = opened(endpoint=narrow.endpoint)
    names = [f"span-{number}" for number in range(40)]
    spool.put(Letter("traces", spans(*names)))
    spool.put(Letter("traces", spans("last")))
    eventually(lambda: spool.record()["signals"]["traces"]["waiting"] == 0)
    narrow.requests = [request for request in narrow.requests if len(request.body) <= narrow.most]
    assert [span.name for span in narrow.spans()] == [*names, "last"]
    assert spool.record()["signals"]["traces"]["dropped"]["poison"] == 0
    narrow.close()


def test_a_single_item_that_is_too_large_is_dropped_and_the_others_arrive(opened: Open) -> None:
    narrow = Narrow()
    spool = opened(endpoint=narrow.endpoint)
    spool.put(Letter("traces", spans("a", "b" * 100, "c")))
    eventually(lambda: spool.record()["signals"]["traces"]["waiting"] == 0)
    narrow.requests = [request for request in narrow.requests if len(request.body) <= narrow.most]
    assert [span.name for span in narrow.spans()] == ["a", "c"]
    assert spool.record()["signals"]["traces"]["dropped"]["poison"] == 1
    narrow.close()


@pytest.mark.parametrize("asked", ["2", "date"])
def test_a_receiver_that_asks_for_a_pause_gets_it(opened: Open, receiver: Receiver, asked: str) -> None:
    spool = opened()
    began = time.monotonic()
    after = formatdate(time.time() + 3, usegmt=True) if asked == "date" else asked
    receiver.answers = [Answer(429, {"retry-after": after})]
    put(spool, b"1")
    eventually(lambda: len(receiver.requests) == 2)
    assert time.monotonic() - began >= 1.9


def test_a_request_whose_answer_was_lost_is_counted_as_a_possible_duplicate(opened: Open, receiver: Receiver) -> None:
    receiver.answers = [Answer(reset=True)]
    spool = opened()
    put(spool, b"1", b"2")
    eventually(lambda: spool.record()["signals"]["traces"]["sent"] == 2)
    assert spool.record()["signals"]["traces"]["duplicate"] == 1
    assert bodies(receiver) == [b"1", b"1", b"2"]


@pytest.mark.parametrize("answer", [Answer(hang=True), Answer(trickle=0.02)], ids=["hangs", "trickles"])
def test_the_end_is_bounded_and_keeps_everything(
    opened: Open, receiver: Receiver, answer: Answer, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = answer
    spool = opened(timeout="60s")
    for signal in SIGNALS:
        put(spool, b"1", b"2", signal=signal)
    receiver.wait_for(3)
    began = time.monotonic()
    with caplog.at_level(logging.WARNING, "otelhealth"):
        assert spool.close(20.0)
    assert time.monotonic() - began < 10  # a second without a delivery is enough
    assert caplog.messages == []
    receiver.answer = Answer()
    receiver.requests.clear()
    opened().start()
    for signal in SIGNALS:
        eventually(lambda signal=signal: bodies(receiver, f"/v1/{signal}") == [b"1", b"2"])  # type: ignore[misc]  # a lambda's default


def test_at_the_end_a_receiver_that_is_back_gets_what_waits(opened: Open, receiver: Receiver) -> None:
    receiver.answers = [Answer(503)] * 3
    spool = opened()
    put(spool, b"1", b"2")
    receiver.wait_for(3)
    assert spool.close(20)
    assert bodies(receiver)[-2:] == [b"1", b"2"]


def test_no_credential_stands_in_the_file_that_its_owner_alone_may_read(receiver: Receiver, tmp_path: Path) -> None:
    receiver.answer = Answer(503)
    told = Otlp.model_validate({"endpoint": receiver.endpoint, "headers": {"authorization": "Bearer s3cret"}})
    place = Place.beside(tmp_path / "made", "agent", 0, "shop")
    spool = Spool({"traces": told}, place, SpoolSettings(), OtlpContent())
    put(spool, b"1")
    receiver.wait_for(1)
    assert receiver.requests[0].headers["authorization"] == "Bearer s3cret"
    files = list((tmp_path / "made").iterdir())
    assert {file.name for file in files} >= {"spool-agent-0.db", "spool-agent-0.db-wal", "spool-agent-0.db.lock"}
    assert not any(b"s3cret" in file.read_bytes() for file in files)
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    spool.close(1)


def test_in_memory_what_is_left_at_the_end_is_said_to_be_lost(
    opened: Open, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.answer = Answer(503)
    spool = opened(in_memory=True)
    put(spool, b"1", b"2")
    receiver.wait_for(1)
    assert spool.path() == ""
    assert spool.close(20)
    assert caplog.messages[-1] == "2 requests could not be delivered and are lost, because the spool is in memory"


def test_while_nothing_waits_its_threads_sleep(opened: Open) -> None:
    spool = opened()
    put(spool, b"1")
    eventually(lambda: spool.record()["signals"]["traces"]["sent"] == 1)
    [thread] = [thread for thread in threading.enumerate() if thread.name == "otelhealth-spool-traces"]
    status = Path(f"/proc/self/task/{thread.native_id}/status")
    eventually(lambda: sleeps(status))


def sleeps(status: Path) -> bool:
    """Whether a thread does not wake up for half a second; at first it may still be about to fall asleep."""
    before = switches(status)
    time.sleep(0.5)
    return switches(status) == before


def switches(status: Path) -> str:
    return next(line for line in status.read_text().splitlines() if line.startswith("voluntary_ctxt"))
