"""`/health*` over real sockets: status codes, JSON types, and that nothing lies."""

from __future__ import annotations

import json
import math

import pytest

from otelhealth.clock import ManualClock
from otelhealth.errors import OtelHealthError, TooOftenError
from otelhealth.model import ServiceStatus, Status
from tests.server.agent import StandIn, record, serving


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (ServiceStatus.HEALTHY, 200),
        (ServiceStatus.DEGRADED, 200),
        (ServiceStatus.UNHEALTHY, 503),
        (ServiceStatus.CRITICAL, 503),
    ],
)
async def test_only_a_service_that_works_answers_200(status: ServiceStatus, code: int) -> None:
    async with serving("db") as client:
        client.served.change(status=status)
        for path in ("/health", "/health/detailed"):
            reply = await client.ask(path)
            assert (reply.status, reply.json["status"]) == (code, status.value)


@pytest.mark.parametrize("phase", ["starting", "draining"])
async def test_a_service_that_starts_or_drains_answers_503_and_says_so(phase: str) -> None:
    async with serving() as client:
        client.served.change(**{phase: True})
        for path in ("/health", "/health/detailed"):
            reply = await client.ask(path)
            assert reply.status == 503
            assert reply.json[phase] is True


async def test_health_carries_whole_numbers_for_its_times() -> None:
    async with serving(clock=ManualClock(1_700_000_000.9)) as client:
        reply = await client.ask("/health")
    assert reply.json == {
        "status": "healthy",
        "timestamp": 1_700_000_000,
        "uptime_seconds": 42,
        "service": "shop",
        "version": "1.4.2",
    }
    assert b'"timestamp":1700000000,"uptime_seconds":42,' in reply.body
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["cache-control"] == "no-store"


async def test_health_says_the_time_of_the_answer_and_not_of_the_last_change() -> None:
    clock = ManualClock(1_700_000_000.0)
    async with serving(clock=clock) as client:
        first = await client.ask("/health")
        clock.advance(7)
        second = await client.ask("/health")
    assert second.json["timestamp"] - first.json["timestamp"] == 7


async def test_a_change_shows_in_the_very_next_answer() -> None:
    async with serving("db", clock=ManualClock()) as client:
        assert (await client.ask("/health")).status == 200
        assert (await client.ask("/health/ready")).status == 200
        client.served.change(status=ServiceStatus.CRITICAL, records={"db": record("db", Status.FAIL)})
        assert (await client.ask("/health")).status == 503
        reply = await client.ask("/health/ready")
    assert reply.status == 503
    assert reply.json == {"status": "unready", "checks": {"db": {"status": "unready", "error": "ready: timed out"}}}


async def test_live_asks_the_process_each_time() -> None:
    async with serving() as client:
        reply = await client.ask("/health/live")
        assert (reply.status, reply.json["status"], reply.json["uptime_seconds"]) == (200, "alive", 42)
        client.served.living = False
        reply = await client.ask("/health/live")
    assert (reply.status, reply.json["status"]) == (503, "dead")


async def test_startup_is_a_group_of_its_own() -> None:
    async with serving("db") as client:
        client.served.change(records={"db": record("db", Status.UNKNOWN)})
        reply = await client.ask("/health/startup")
    assert reply.json["checks"]["db"]["error"] == "startup: timed out"


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/health/detailed", "/health/checks/db"])
async def test_health_json_comes_where_accept_asks(path: str) -> None:
    async with serving("db") as client:
        reply = await client.ask(path, accept="application/health+json, */*;q=0.1")
        plain = await client.ask(path, accept="*/*")
    assert reply.headers["content-type"] == "application/health+json"
    assert plain.headers["content-type"] == "application/json"
    assert reply.json.keys() == plain.json.keys()


@pytest.mark.parametrize("path", ["/health", "/health/live", "/health/ready", "/health/detailed", "/metrics"])
async def test_head_answers_as_get_without_the_body(path: str) -> None:
    async with serving("db", clock=ManualClock()) as client:
        head, get = await client.ask(path, "HEAD"), await client.ask(path)
    assert (head.status, head.body) == (get.status, b"")
    assert head.headers.get("content-length") == get.headers.get("content-length")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_a_wrong_method_is_told_the_right_ones(method: str) -> None:
    async with serving() as client:
        reply = await client.ask("/health", method)
    assert (reply.status, reply.headers["allow"]) == (405, "GET, HEAD")
    assert reply.json["error"] == "method not allowed"


async def test_run_is_for_post_only() -> None:
    async with serving("db") as client:
        reply = await client.ask("/health/checks/db/run")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert client.served.ran == []


@pytest.mark.parametrize("path", ["/nothing", "/health/", "/health/checks/db/nothing", "/"])
async def test_an_unknown_path_is_a_404_with_the_remedy(path: str) -> None:
    async with serving("db") as client:
        reply = await client.ask(path)
    assert (reply.status, reply.json) == (404, {"error": "not found", "remedy": "the paths are in /openapi.json"})


@pytest.mark.parametrize(("tail", "method"), [("", "GET"), ("/history", "GET"), ("/run", "POST")])
async def test_an_unknown_check_is_a_404_that_names_it(tail: str, method: str) -> None:
    async with serving("db") as client:
        reply = await client.ask(f"/health/checks/nope{tail}", method)
    assert (reply.status, reply.json["error"]) == (404, "there is no check 'nope'")


async def test_the_detailed_report_holds_every_check_however_many() -> None:
    names = [f"check-{number}" for number in range(1234)]
    async with serving(*names) as client:
        reply = await client.ask("/health/detailed")
    assert reply.json == client.served.report() | {"timestamp": reply.json["timestamp"]}
    assert (reply.json["alerts"], reply.json["slo"]) == ([], {})


async def test_a_report_without_checks_is_still_json() -> None:
    async with serving() as client:
        assert (await client.ask("/health/detailed")).json["checks"] == {}


async def test_a_number_that_is_none_is_null_and_not_broken_json() -> None:
    async with serving("db") as client:
        client.served.records["db"]["measurements"]["connect"]["value"] = math.nan
        client.served.records["db"]["details"] = {"peak": [math.inf, 1.0], "status": Status.PASS, "kept": {1}}
        for path in ("/health/detailed", "/health/checks/db"):
            body = (await client.ask(path)).body
            decoded = json.loads(body, parse_constant=pytest.fail)
            check = decoded.get("checks", {"db": decoded})["db"]
            assert check["measurements"]["connect"]["value"] is None
            assert check["details"] == {"peak": [None, 1.0], "status": "pass", "kept": "{1}"}


async def test_history_is_bounded_and_starts_where_it_is_asked_to() -> None:
    clock = ManualClock(1_700_000_500.0)
    async with serving("db", clock=clock) as client:
        assert len((await client.ask("/health/checks/db/history")).json["runs"]) == 100
        late = (await client.ask("/health/checks/db/history?since=1700000490&limit=1000")).json
        ago = (await client.ask("/health/checks/db/history?since=10s&limit=1000")).json
    assert len(late["runs"]) == 10
    assert late == ago


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "limit=%C2%B2", "since=nan", "since=yesterday"])
async def test_a_wrong_history_question_says_what_is_wrong(query: str) -> None:
    async with serving("db") as client:
        reply = await client.ask(f"/health/checks/db/history?{query}")
    assert reply.status == 400
    assert reply.json["error"]
    assert "since=1h" in reply.json["remedy"]


async def test_a_run_on_demand_answers_with_the_record() -> None:
    async with serving("db") as client:
        reply = await client.ask("/health/checks/db/run", "POST")
    assert (reply.status, reply.json["name"], client.served.ran) == (200, "db", ["db"])


async def test_a_disabled_check_does_not_run() -> None:
    async with serving("db") as client:
        client.served.records["db"] = record("db", enabled=False)
        reply = await client.ask("/health/checks/db/run", "POST")
    assert (reply.status, client.served.ran) == (409, [])


@pytest.mark.parametrize(
    ("error", "code", "wait"),
    [
        (TooOftenError("runs come too often", "wait 42s", 41.5), 429, "42"),
        (OtelHealthError("the agent has stopped", "start it"), 503, None),
    ],
)
async def test_an_agent_that_refuses_a_run_is_quoted(error: OtelHealthError, code: int, wait: str | None) -> None:
    async with serving("db") as client:
        client.served.refusal = error
        reply = await client.ask("/health/checks/db/run", "POST")
    assert (reply.status, reply.json) == (code, {"error": error.sentence, "remedy": error.remedy})
    assert reply.headers.get("retry-after") == wait


async def test_a_bug_is_a_500_and_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(StandIn):
        def revision(self) -> int:
            raise KeyError("revision")

    async with serving(served=Broken()) as client:
        reply = await client.ask("/health")
        assert (await client.ask("/health/live")).status == 200
    assert (reply.status, reply.json["error"]) == (500, "the agent could not answer")
    assert "KeyError" in caplog.text
