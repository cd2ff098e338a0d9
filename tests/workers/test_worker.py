"""Workers of one service in one process: their locks and their file are those between processes."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import trace

from otelhealth import Agent, check
from otelhealth.checks.base import Context, passed
from otelhealth.errors import OtelHealthError
from otelhealth.model import CheckResult, Measurement, Status
from otelhealth.workers import exchange
from tests.disk import read_only
from tests.waiting import until

MOVING = ("seconds_since_last", "running")  # fields of a record that move by themselves


class Stock:
    """A check that says which of the agents ran it, and what it is told to say."""

    def __init__(self) -> None:
        self.held = True
        self.runs = 0

    def check(self) -> Any:
        @check(
            name="stock",
            every="300ms",
            timeout="10s",
            grace="1m",  # on a busy machine 0.6 s without a run are no reason to know nothing
            groups=["ready"],
            threshold={"max_consecutive_failures": 1},
        )
        async def stock(ctx: Context) -> CheckResult:
            self.runs += 1
            ctx.log("counted")
            level = Measurement("level", 0.5, "1", (("shelf", "top"),), Status.WARN, "the top")
            return passed("in stock", level) if self.held else CheckResult(Status.FAIL, "sold out", "empty", (level,))

        return stock


def settings(folder: Path, **sections: Any) -> dict[str, Any]:
    return {"service": {"name": "shop"}, "store": {"path": str(folder / "app.db")}, "checks": {}, **sections}


@asynccontextmanager
async def working(config: Any, *stocks: Stock) -> AsyncIterator[list[Agent]]:
    """An agent for each stock, started one after the other."""
    agents: list[Agent] = []
    try:
        for stock in stocks:
            agents.append(await Agent(config, role="app").__aenter__())
            agents[-1].add(stock.check())
        yield agents
    finally:
        await asyncio.gather(*(agent.__aexit__(None, None, None) for agent in agents))


def record(agent: Agent) -> dict[str, Any]:
    return {name: value for name, value in agent.report()["checks"]["stock"].items() if name not in MOVING}


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers tell their requests more often than every 10 s."""
    monkeypatch.setattr(exchange, "FIGURES", 0.3)


def told(agent: Agent) -> Any:
    return agent.report()["agent"]["worker"]


async def test_a_follower_tells_of_a_check_what_the_leader_tells(tmp_path: Path) -> None:
    first, second = Stock(), Stock()
    async with working(settings(tmp_path), first, second) as (leader, follower):
        assert (told(leader)["leads"], told(follower)["leads"]) == (True, False)
        await until(lambda: record(leader)["last_run"] is not None)
        await until(lambda: record(follower) == record(leader))
        assert record(follower)["measurements"] == {"the top": {"value": 0.5, "unit": "1", "status": "warn"}}
        assert record(follower)["log"] == ["counted"]
        first.held = False
        await until(lambda: follower.report()["groups"] == {"ready": False})
        assert follower.report()["summary"]["errors"] == ["stock: sold out"]
        assert follower.report()["score"] == leader.report()["score"]
    assert first.runs > 0 == second.runs


async def test_the_next_worker_goes_on_where_the_leader_was_when_that_stops(tmp_path: Path) -> None:
    first, second, third = Stock(), Stock(), Stock()
    first.held = second.held = third.held = False
    async with working(settings(tmp_path), first, second, third) as agents:
        leader, follower, last = agents
        await until(lambda: record(follower)["status"] == "fail")
        since = record(leader)["since"]
        leader.drain()
        assert leader.report()["draining"]
        await agents.pop(0).__aexit__(None, None, None)
        assert {record(agent)["status"] for agent in agents} == {"fail"}
        await until(lambda: second.runs + third.runs > 1)
        assert sorted(told(agent)["leads"] for agent in agents) == [False, True]
        assert {record(agent)["since"] for agent in agents} == {since}
        assert not follower.report()["draining"]
        assert not last.report()["draining"]
        async with working(settings(tmp_path), Stock()) as (new,):
            assert (told(new)["number"], record(new)["since"]) == (0, since)


async def test_runs_that_a_program_asks_a_follower_for_are_the_leaders(tmp_path: Path) -> None:
    first, second = Stock(), Stock()
    limits = {"server": {"limits": {"runs_per_minute": 1}}}
    async with working(settings(tmp_path, **limits), first, second) as (_, follower):
        for _ in range(3):
            before = first.runs
            records = await follower.run_checks("stock")
            assert records["stock"]["status"] == "pass"
            assert first.runs > before
        with trace.use_span(trace.NonRecordingSpan(trace.SpanContext(1, 2, is_remote=True))):
            async with asyncio.timeout(10):  # it may join a run that goes already, whose trace is its own
                while (await follower.run_checks("stock"))["stock"]["trace_id"] != f"{1:032x}":
                    pass
        assert set(await follower.run_checks()) == {"stock"}
        with pytest.raises(OtelHealthError, match="there is no check 'stok'; did you mean stock"):
            await follower.run_checks("stok")
    assert second.runs == 0


@pytest.mark.usefixtures("_soon")
async def test_a_worker_alone_writes_no_file_for_others_and_tells_all_once_there_is_another(tmp_path: Path) -> None:
    first, second = Stock(), Stock()
    async with working(settings(tmp_path), first) as (leader,):
        await until(lambda: first.runs > 2)
        assert not (tmp_path / "app-workers.db").exists()
        leader.telemetry.windows.add("application", 0.1, failed=True)
        async with working(settings(tmp_path), second) as (follower,):
            assert record(follower)["status"] == "pass"
            await until(lambda: follower.report()["performance"]["requests"] == 1)
            assert follower.report()["performance"]["error_rates"]["total_errors_24h"] == 1


@pytest.mark.usefixtures("_soon")
@pytest.mark.parametrize("damage", ["removed", "overwritten"])
async def test_a_file_that_is_lost_or_damaged_is_made_anew(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = Stock(), Stock()
    file = tmp_path / "app-workers.db"
    async with working(settings(tmp_path), first, second) as (leader, follower):
        await until(lambda: record(follower)["status"] == "pass")
        if damage == "removed":
            file.unlink()
        else:
            for part in (file, file.with_name(f"{file.name}-wal")):
                part.write_bytes(os.urandom(200_000))
        first.held = False
        await until(lambda: record(follower)["status"] == "fail")
        leader.telemetry.windows.add("application", 0.1, failed=False)
        await until(lambda: follower.report()["performance"]["requests"] == 1)
    if damage == "overwritten":
        assert "cannot tell each other their news" in caplog.text
        assert "tell each other their news again" in caplog.text


async def test_a_changed_file_changes_what_all_workers_watch(tmp_path: Path) -> None:
    file = tmp_path / "otelhealth.yaml"
    checks = "one: {kind: cpu, every: 1s}\n  two: {kind: load, every: 1s}"
    text = f"service: {{name: shop}}\nstore: {{path: app.db}}\nchecks:\n  {checks}\n"
    file.write_text(text)
    async with working(str(file), Stock(), Stock()) as (leader, follower):
        await until(lambda: follower.report()["checks"]["two"]["last_run"])
        file.write_text(text.replace("two: {kind: load", "three: {kind: memory"))
        await asyncio.gather(leader.reload(), follower.reload())
        assert set(follower.report()["checks"]) == {"one", "three", "stock"}
        await until(lambda: follower.report()["checks"]["three"]["last_run"])


async def test_each_worker_is_an_instance_of_its_own_also_where_the_environment_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with working(settings(tmp_path), Stock(), Stock()) as agents:
        found = {agent.telemetry.resource["service.instance.id"] for agent in agents}
        assert all(re.fullmatch(r"[0-9a-f-]{36}", each) for each in found)
        assert len(found) == 2
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=pod-7")
    async with working(settings(tmp_path), Stock(), Stock()) as agents:
        assert [agent.telemetry.resource["service.instance.id"] for agent in agents] == ["pod-7", "pod-7-1"]


async def test_with_a_store_in_memory_each_worker_runs_the_checks_for_itself(tmp_path: Path) -> None:
    first, second = Stock(), Stock()
    async with working(settings(tmp_path, store={"path": ":memory:"}), first, second) as agents:
        await until(lambda: first.runs > 0 < second.runs)
        assert ["worker" in agent.report()["agent"] for agent in agents] == [False, False]


@pytest.mark.parametrize("told", ["", "service.instance.id=pod-7"])
async def test_with_a_store_in_memory_no_two_workers_are_one_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str
) -> None:
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", told)
    file = settings(tmp_path, store={"path": ":memory:"}, telemetry={"otlp": {"spool": {"enabled": False}}})
    ids = [Agent(file, role="app").telemetry.resource["service.instance.id"] for _ in range(3)]
    assert len(set(ids)) == 3
    assert all(each.startswith("pod-7-") for each in ids) == bool(told)


async def test_an_agent_that_is_made_and_not_entered_gives_its_number_back(tmp_path: Path) -> None:
    Agent(settings(tmp_path), role="app").release()
    async with working(settings(tmp_path), Stock()) as (agent,):
        assert told(agent)["number"] == 0


async def test_where_nothing_can_be_kept_it_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OtelHealthError, match="nothing can be kept beside the store"):
        Agent(settings(tmp_path / "file"), role="app")


async def test_a_worker_whose_store_another_agent_has_does_not_start(tmp_path: Path) -> None:
    async with Agent(settings(tmp_path, server={"enabled": False})):
        app = Agent(settings(tmp_path), role="app")
        with pytest.raises(OtelHealthError, match="is used by another otelhealth process"):
            await app.__aenter__()
    async with working(settings(tmp_path), Stock()) as (agent,):
        assert (told(agent)["number"], told(agent)["leads"]) == (0, True)


def test_workers_on_a_read_only_disk_start_and_each_runs_the_checks_itself(tmp_path: Path) -> None:
    program = f"""
import asyncio
from otelhealth import Agent
config = {{"store": {{"path": "{tmp_path}/app.db"}}, "checks": {{"cpu": {{"kind": "cpu"}}}}}}
async def main():
    async with Agent(config, role="app") as one, Agent(config, role="app") as other:
        for agent in (one, other):
            await agent.run_checks("cpu")
            print(agent.report()["agent"]["store"]["problem"])
asyncio.run(main())
"""
    command = [*read_only(tmp_path), sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    problem = f"[Errno 30] Read-only file system: '{tmp_path}/app.db.lock'"
    assert ended.stdout.splitlines() == [problem] * 2, ended.stderr
    assert ended.stderr.count("this worker runs all checks itself") == 2
    assert ended.stderr.count(f"the store {tmp_path}/app.db cannot be opened (") == 2
